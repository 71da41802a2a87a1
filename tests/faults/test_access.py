"""What the runbook says about a lost second factor and a compromised member of staff, done on the
embedded system."""

import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from devtools.demo import mails
from devtools.demo.api import Answer, Api

from tests import customers
from tests.embedded import Embedded
from tests.waiting import until

PASSWORD = "seven quiet herons nest"


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    running = Embedded(tmp_path_factory.mktemp("embedded"))
    running.start()
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def boss(embedded: Embedded) -> Api:
    """The provider's owner."""
    api = customers.sign_in_as_admin(embedded.address, embedded.password)
    assert api.call("PATCH", "/v1/settings", {"managed_service": True}, wait=10).status == 200
    return api


def joined(embedded: Embedded, address: str) -> Api:
    """Somebody who accepts the invitation to this address and signs in."""
    token = mails.invitation(embedded.folder / "var/mail", address)
    api = Api(embedded.address)
    assert api.call("POST", f"/v1/verifications/{token}", {"password": PASSWORD}).status == 201
    assert api.sign_in(address, PASSWORD).status == 201
    return api


def customer(embedded: Embedded, boss: Api) -> tuple[Api, str, str]:
    """A customer's owner, their address, and the path of the customer."""
    wanted = customers.organization()
    path, address = customers.open_customer(boss, **wanted), wanted["owner"]["email"]
    return joined(embedded, address), address, path


def sign_in(api: Api, address: str, **otp: str) -> Answer:
    return api.call("POST", "/v1/sessions", {"email": address, "password": PASSWORD, **otp})


def enrolled(api: Api) -> list[str]:
    """Turn one-time codes on; the recovery codes."""
    secret = api.call("POST", "/v1/me/totp").body["secret"]
    confirmed = api.call("POST", "/v1/me/totp/confirm", {"otp": pyotp.TOTP(secret).now()})
    assert confirmed.status == 201, confirmed
    return list(confirmed.body["recovery_codes"])


def test_a_lost_second_factor(embedded: Embedded, boss: Api) -> None:
    owner, address, path = customer(embedded, boss)
    old = enrolled(owner)
    member = owner.call("GET", "/v1/me").body["member_id"]
    guest = Api(embedded.address)
    assert sign_in(guest, address).body["code"] == "otp_required"

    # 1. A recovery code is left.
    owner._token = sign_in(guest, address, otp=old[0]).body["access_token"]
    new = owner.call("POST", "/v1/me/recovery-codes").body["recovery_codes"]
    assert sign_in(guest, address, otp=old[1]).body["code"] == "invalid_otp"
    assert sign_in(guest, address, otp=new[0]).status == 201

    # 2. None is left.
    assert boss.call("POST", f"{path}/members/{member}/reset-mfa").status == 202
    owner._token = sign_in(guest, address).body["access_token"]

    # 3. There is nobody to do that.
    enrolled(owner)
    data = os.environ | {"CLIENTELE_DATA": str(embedded.folder / "var")}
    command = [sys.executable, "-m", "clientele", "reset-mfa", address]
    output = subprocess.run(command, env=data, capture_output=True, text=True, check=True).stdout
    assert "are off, and their sessions have ended" in output
    owner._token = sign_in(guest, address).body["access_token"]

    def resets() -> Any:
        rows = owner.call("GET", f"{path}/audit?action=mfa.reset").body["data"]
        return [row["actor"]["kind"] for row in rows] == ["system", "staff"]

    assert until(resets)


def test_a_compromised_member_of_staff(embedded: Embedded, boss: Api) -> None:
    home = f"/v1/organizations/{boss.call('GET', '/v1/me').body['organization']['id']}"
    address = f"sven.{secrets.token_hex(3)}@provider.example"
    body = {"name": "Sven", "email": address, "role": "admin", "portal_access": True}
    added = boss.call("POST", f"{home}/members", body).body["id"]
    sven = joined(embedded, address)
    owner, _, path = customer(embedded, boss)
    key = sven.call("POST", "/v1/api-keys", {"name": "Sync", "scopes": ["cust:read"]}).body
    assert sven.call("POST", f"{path}/remote-support", {"reason": "a look"}).status == 201
    victim = owner.call("GET", "/v1/me").body["member_id"]
    acting = sven.call("POST", f"{path}/members/{victim}/login-as", {"reason": "ticket 1"})
    inside = Api(embedded.address)
    inside._token = acting.body["access_token"]
    assert inside.call("PATCH", path, {"name": "Owned"}).status == 200

    # 1. Disable them.
    disabled = boss.call("POST", f"{home}/members/{added}/disable").body
    assert disabled["left_behind"] == {"keys": 1, "grants": 1, "sessions": 2}
    for api in (sven, inside):
        refused = until(lambda api=api: (a := api.call("GET", "/v1/me")).status == 401 and a)
        assert refused.body["code"] == "token_revoked"
    secret = {"api_key": key["api_key"]}
    assert boss.call("POST", "/v1/sessions", secret).body["code"] == "key_suspended"

    # 2. API keys: adopted with a new secret.
    at = f"/v1/api-keys/{key['id']}"
    rotated = boss.call("POST", f"{at}/rotate", {"overlap_minutes": 0}).body
    assert boss.call("POST", f"{at}/adopt").status == 200
    assert boss.call("POST", "/v1/sessions", secret).body["code"] == "invalid_credentials"
    assert boss.call("POST", "/v1/sessions", {"api_key": rotated["api_key"]}).status == 201

    # 3. What did they do, and where?
    user = disabled["identity_id"]

    def rows() -> Any:
        seen = boss.call("GET", f"{path}/audit?actor={user}").body["data"]
        return seen if "organization.changed" in [row["action"] for row in seen] else None

    by_action = {row["action"]: row for row in until(rows)}
    assert {"member.login_as.started", "support.requested"} <= by_action.keys()
    changes = {one["field"]: one for one in by_action["organization.changed"]["changes"]}
    assert changes["name"]["after"] == "Owned"
    assert changes["name"]["before"].startswith("Customer ")
    query = "SELECT count(DISTINCT organization_id) FROM trail WHERE actor_id = ?"
    with sqlite3.connect(embedded.folder / "var/org.db") as database:
        assert database.execute(query, (user,)).fetchone() == (2,)
