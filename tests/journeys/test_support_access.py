"""Login As and Remote Support through the public address, in embedded and in distributed mode."""

import email
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from pathlib import Path
from typing import Any

import pytest
from chassis.auth.permissions import Operations
from devtools.demo import mails
from devtools.demo.api import Answer, Api
from devtools.processes import System

from tests import customers
from tests.embedded import Embedded
from tests.house import endpoints
from tests.house.workspace import WITH_CONTRACT
from tests.waiting import until

PASSWORD = "seven quiet herons nest"
SUPPORTER = "svensson"


@dataclass
class Target:
    """A running system, as seen from outside."""

    address: str
    password: str
    mail: Path

    def as_(self, token: str) -> Api:
        """A client with this token."""
        api = Api(self.address)
        api._token = token
        return api

    def join(self, address: str) -> Api:
        """Accept the invitation to this address, and sign in."""
        token = mails.invitation(self.mail, address)
        api = Api(self.address)
        assert api.call("POST", f"/v1/verifications/{token}", {"password": PASSWORD}).status == 201
        assert api.sign_in(address, PASSWORD).status == 201
        return api

    def mails_to(self, to: str, subject: str) -> list[str]:
        read = [
            email.message_from_bytes(p.read_bytes(), policy=policy.default)
            for p in self.mail.glob("*.eml")
        ]
        return [
            str(m.get_content())
            for m in read
            if to in str(m["To"]) and subject in str(m["Subject"])
        ]


@dataclass
class Cast:
    """The provider's owner, a supporter of theirs, and the owner of a customer."""

    target: Target
    boss: Api
    supporter: Api
    customer: Api
    address: str
    path: str

    @property
    def member_id(self) -> str:
        return str(self.customer.call("GET", "/v1/me").body["member_id"])

    def login_as(self) -> str:
        """A token of the supporter logged in as the owner."""
        response = self.supporter.call(
            "POST", f"{self.path}/members/{self.member_id}/login-as", {"reason": "ticket 1"}
        )
        assert response.status == 201, response
        return str(response.body["access_token"])

    def enter(self, **more: Any) -> str:
        """A token of the supporter for Remote Support."""
        grant = self.supporter.call(
            "POST", f"{self.path}/remote-support", {"reason": "ticket 2", **more}
        ).body["id"]
        response = self.supporter.call("POST", f"{self.path}/remote-support/{grant}/enter", {})
        assert response.status == 201, response
        return str(response.body["access_token"])

    def support_rows(self, side: Api) -> list[dict[str, Any]]:
        """The audit rows of support: sessions and what was done in them, oldest first."""
        rows = side.call("GET", f"{self.path}/audit?limit=200").body["data"]
        return [row for row in reversed(rows) if row["actor"]["kind"] == "support"]


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("processes", marks=pytest.mark.exhaustive)],
)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    if request.param == "processes":
        system: System = request.getfixturevalue("system")
        yield Target(system.address, system.password, system.mail)
        return
    embedded = Embedded(tmp_path_factory.mktemp("embedded"))
    embedded.start()
    try:
        yield Target(embedded.address, embedded.password, embedded.folder / "var/mail")
    finally:
        embedded.kill()


@pytest.fixture(scope="module")
def cast(target: Target) -> Cast:
    boss = customers.sign_in_as_admin(target.address, target.password)
    assert boss.call("PATCH", "/v1/settings", {"managed_service": True}, wait=10).status == 200
    provider = boss.call("GET", "/v1/me").body["organization"]["id"]
    address = f"sven.{SUPPORTER}.{secrets.token_hex(3)}@provider.example"
    boss.call(
        "POST",
        f"/v1/organizations/{provider}/members",
        {
            "given_name": "Sven",
            "family_name": SUPPORTER.title(),
            "email": address,
            "role": "member",
            "preset": "manager",
            "portal_access": True,
        },
    )
    wanted = customers.organization()
    path = customers.open_customer(boss, **wanted)
    owner = wanted["owner"]["email"]
    return Cast(target, boss, target.join(address), target.join(owner), owner, path)


def await_refusal(api: Api) -> None:
    """Wait until the gateway refuses this token, as revoked."""
    response: Answer = until(lambda: (a := api.call("GET", "/v1/me")).status == 401 and a)
    assert response.body["code"] == "token_revoked"


def hides(cast: Cast, *shown: Any) -> bool:
    """Whether nothing in there reveals who the supporter is."""
    me = cast.supporter.call("GET", "/v1/me").body
    text = json.dumps(shown).casefold()
    return not any(
        word.casefold() in text for word in (SUPPORTER, me["identity"]["id"], me["session_id"])
    )


def test_login_as_is_shown_audited_and_receipted(cast: Cast) -> None:
    inside = cast.target.as_(cast.login_as())

    seen = cast.customer.call("GET", "/v1/sessions").body["data"]
    who = cast.customer.call("GET", f"{cast.path}/remote-support").body
    assert inside.call("PATCH", cast.path, {"name": "Renamed by Login As"}).status == 200
    assert inside.call("DELETE", "/v1/sessions/current").status == 204
    await_refusal(inside)

    assert (
        "Support" in [session["user_agent"] for session in seen]
        and who["inside"][0]["who"]["name"] == "Support"
    )
    until(
        lambda: (
            [row["action"] for row in cast.support_rows(cast.customer)][-1:]
            == ["member.login_as.ended"]
        )
    )
    ours, theirs = cast.support_rows(cast.boss), cast.support_rows(cast.customer)
    assert [row["action"] for row in ours][-3:] == [
        "member.login_as.started",
        "organization.changed",
        "member.login_as.ended",
    ]
    assert [row["id"] for row in ours] == [row["id"] for row in theirs], (
        "both sides see the same rows"
    )
    assert theirs[-2]["actor"]["label"] == "Support acting as Ada Owner"
    assert ours[-2]["actor"]["acting"]["name"] == f"Sven {SUPPORTER.title()}"
    text = until(lambda: cast.target.mails_to(cast.address, "What support did in"))[-1]
    assert "ticket 1" in text and "Renamed by Login As" in text
    assert hides(cast, seen, who, theirs, text)


def test_remote_support_needs_the_consent_of_a_customer_that_manages_itself(cast: Cast) -> None:
    assert cast.customer.call("PATCH", cast.path, {"managed_by": "customer"}).status == 200
    pending = until(
        lambda: (
            (
                a := cast.supporter.call(
                    "POST", f"{cast.path}/remote-support", {"reason": "ticket 3", "minutes": 60}
                )
            ).body.get("status")
            == "pending"
            and a.body
        )
    )
    path = f"{cast.path}/remote-support/{pending['id']}"

    early = cast.supporter.call("POST", f"{path}/enter", {})
    requests = until(lambda: cast.target.mails_to(cast.address, "Support requests access"))
    approved = cast.customer.call("POST", f"{path}/approve", {})
    inside = cast.target.as_(cast.supporter.call("POST", f"{path}/enter", {}).body["access_token"])
    ours = cast.boss.call("GET", "/v1/remote-support").body["inside"]
    theirs = cast.customer.call("GET", f"{cast.path}/remote-support").body
    assert inside.call("GET", f"{cast.path}/account").status == 200
    assert cast.customer.call("DELETE", path).status == 204
    await_refusal(inside)

    assert (early.status, approved.status, approved.body["status"]) == (409, 200, "active")
    assert [active["who"]["name"] for active in ours if active["grant_id"] == pending["id"]] == [
        f"Sven {SUPPORTER.title()}"
    ]
    assert [active["who"]["name"] for active in theirs["inside"]] == ["Support"]
    text = until(
        lambda: [
            t for t in cast.target.mails_to(cast.address, "What support did in") if "ticket 3" in t
        ]
    )[0]
    assert "Nothing was changed." in text and "your organization ended it" in text
    assert hides(cast, requests, approved.body, theirs, text, cast.support_rows(cast.customer))
    assert cast.customer.call("PATCH", cast.path, {"managed_by": "provider"}).status == 200
    until(
        lambda: (
            cast.supporter.call(
                "POST", f"{cast.path}/remote-support", {"reason": "again"}
            ).body.get("status")
            == "active"
        )
    )


def test_every_service_refuses_what_the_tables_forbid_support(
    cast: Cast, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Generated from the tables: each call whose row forbids it to acting sessions."""
    forbidden = _forbidden_to_support(cast, tmp_path_factory)
    assert len(forbidden) > 40
    for token in (cast.login_as, cast.enter):
        support = cast.target.as_(token())
        statuses = {}
        for method, path in forbidden:
            body = None if method in ("GET", "DELETE") else {}
            response = support.call(method, path, body, key=secrets.token_hex(8))
            statuses[method, path] = response.status
        assert support.call("DELETE", "/v1/sessions/current").status == 204

        assert {call: status for call, status in statuses.items() if status != 403} == {}


def _forbidden_to_support(
    cast: Cast, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, str]]:
    organization_id = cast.path.rpartition("/")[2]
    forbidden = []
    for service in WITH_CONTRACT:
        if not service.has("models"):
            continue
        table = _table(service.name)
        app = endpoints.build(service, tmp_path_factory.mktemp(service.name))
        for endpoint in endpoints.endpoints_of(app):
            row = table.rows.get(endpoint.operation or "")
            if row is None or row.marks["acting"] != "-":
                continue
            path = endpoint.path.replace("<organization_id>", organization_id)
            forbidden.append((endpoint.method, endpoints.filled(path)))
    return forbidden


def test_read_only_support_changes_nothing(cast: Cast) -> None:
    inside = cast.target.as_(cast.enter(access="read"))
    before = cast.boss.call("GET", cast.path).body

    refused = [
        inside.call("PATCH", cast.path, {"name": "Else"}),
        inside.call("PATCH", f"{cast.path}/members/{cast.member_id}", {"name": "Else"}),
    ]

    assert [(response.status, response.body["code"]) for response in refused] == [
        (403, "read_only")
    ] * 2
    assert (
        inside.call("GET", cast.path).status
        == inside.call("GET", f"{cast.path}/account").status
        == 200
    )
    assert inside.call("DELETE", "/v1/sessions/current").status == 204
    after = cast.boss.call("GET", cast.path).body
    assert after == before


def test_signing_out_ends_support_at_the_gateway(cast: Cast) -> None:
    """The support session depends on the session of the staff member."""
    supporter = Api(cast.target.address)
    supporter.sign_in(**cast.supporter._credentials)
    grant = supporter.call("POST", f"{cast.path}/remote-support", {"reason": "ticket 4"}).body["id"]
    inside = cast.target.as_(
        supporter.call("POST", f"{cast.path}/remote-support/{grant}/enter", {}).body["access_token"]
    )
    assert inside.call("GET", "/v1/me").status == 200

    assert supporter.call("DELETE", "/v1/sessions/current").status == 204

    await_refusal(inside)


def _table(service: str) -> Operations:
    module = __import__(f"{service}.guard", fromlist=["OPERATIONS"])
    table: Operations = module.OPERATIONS
    return table
