"""The most serious attacks, on a running system and by HTTP alone. That a forged message is not
applied when dead letters are redriven, tests/chassis/test_dead_letters.py shows at the broker."""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from devtools.demo import mails
from devtools.demo.api import Api

from tests import customers
from tests.embedded import Embedded
from tests.waiting import until

PASSWORD = "four calm otters drift"
OTHER = "another quiet heron waits"


class Target:
    """A running embedded system and its provider's owner."""

    def __init__(self, system: Embedded) -> None:
        self.address, self.mail = system.address, system.folder / "var/mail"
        self.boss = customers.sign_in_as_admin(system.address, system.password)
        self.provider = self.boss.call("GET", "/v1/me").body["organization"]["id"]

    def post(self, path: str, body: dict[str, object], api: Api | None = None) -> tuple[int, str]:
        """One attempt, no sooner than the rate of the gateway allows: the status and the error
        code."""
        sent = {"Idempotency-Key": secrets.token_hex(8)}
        if api is not None:
            sent["Authorization"] = f"Bearer {api._token}"
        while True:
            answer = (api or Api(self.address))._once("POST", path, body, sent)
            if answer.body.get("code") != "too_many_requests":
                return answer.status, str(answer.body.get("code", ""))
            time.sleep(answer.retry_after)

    def join(self, address: str) -> Api:
        """Accept the invitation to this address, and sign in."""
        link = mails.invitation(self.mail, address)
        assert self.post(f"/v1/verifications/{link}", {"password": PASSWORD})[0] == 201
        api = Api(self.address)
        assert api.sign_in(address, PASSWORD).status == 201
        return api

    def customer(self, **changes: object) -> tuple[str, Api]:
        """An active customer, by path, and its owner."""
        wanted = customers.organization(**changes)
        path = customers.open_customer(self.boss, **wanted)
        return path, self.join(wanted["owner"]["email"])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    system = Embedded(tmp_path_factory.mktemp("attacked"))
    system.start()
    try:
        yield Target(system)
    finally:
        system.kill()


def test_slow_clients_of_one_customer_hold_up_no_other(target: Target) -> None:
    path, owner = target.customer()
    address = urlsplit(target.address)
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {owner._token}\r\nContent-Length: 1000\r\n\r\n{{"
    ).encode()
    with contextlib.ExitStack() as held:
        for _ in range(40):
            peer = held.enter_context(
                socket.create_connection((address.hostname, address.port), timeout=60)
            )
            peer.sendall(head)
        sent = {"Authorization": f"Bearer {owner._token}"}
        until(lambda: owner._once("GET", path, None, sent).body.get("code") == "too_many_at_once")
        assert target.boss.call("GET", path).status == 200


def test_an_invitation_does_not_take_over_a_login(target: Target) -> None:
    _, owner = target.customer()
    email = owner._credentials["email"]
    before = set(target.mail.glob("*.eml"))
    second = customers.organization()
    second["owner"]["email"] = email
    customers.open_customer(target.boss, **second)
    until(lambda: set(target.mail.glob("*.eml")) > before)
    link = mails.invitation(target.mail, email)

    taken = target.post(f"/v1/verifications/{link}", {"password": OTHER})

    assert taken == (422, "password_not_expected")
    assert target.post("/v1/sessions", {"email": email, "password": OTHER})[0] == 401
    assert target.post(f"/v1/verifications/{link}", {})[0] == 201
    assert target.post("/v1/sessions", {"email": email, "password": PASSWORD})[0] == 201


@pytest.mark.parametrize(
    ("preset", "entered"),
    [("support", (403, "forbidden")), ("manager", (409, "consent_required"))],
)
def test_staff_do_not_become_admins_of_a_customer_that_manages_itself(
    target: Target, preset: str, entered: tuple[int, str]
) -> None:
    mailbox = f"{secrets.token_hex(4)}@staff.example"
    member = {
        "name": "Sven",
        "email": mailbox,
        "role": "member",
        "preset": preset,
        "portal_access": True,
    }
    staff_path = f"/v1/organizations/{target.provider}/members"
    assert target.post(staff_path, member, target.boss)[0] == 201
    staff = target.join(mailbox)
    path, owner = target.customer(managed_by="customer")
    owner_id = owner.call("GET", "/v1/me").body["member_id"]
    admin = {"name": "Me", "email": f"x{mailbox}", "role": "admin", "portal_access": True}

    assert target.post(f"{path}/members", admin, staff) == (403, "customer_managed")
    answer = staff.call("PATCH", f"{path}/members/{owner_id}", {"email": f"y{mailbox}"})
    assert (answer.status, answer.body["code"]) == (403, "customer_managed")
    act = target.post(f"{path}/members/{owner_id}/login-as", {"reason": "a look"}, staff)
    assert act == entered


def test_a_thief_does_not_keep_a_login_by_inviting_its_old_address(target: Target) -> None:
    path, owner = target.customer()
    email, thief = owner._credentials["email"], f"{secrets.token_hex(4)}@thief.example"
    assert owner.call("PATCH", "/v1/me", {"email": thief}).status == 200
    assert target.post(f"/v1/verifications/{mails.invitation(target.mail, thief)}", {})[0] == 201
    member = {"name": "Me", "email": email, "role": "member", "portal_access": True}
    assert target.post(f"{path}/members", member, owner)[0] == 201

    undone = target.post(f"/v1/verifications/{mails.undo(target.mail, email)}", {})

    assert undone == (201, "")
    assert target.post("/v1/sessions", {"email": email, "password": PASSWORD})[0] == 201
    assert target.post("/v1/sessions", {"email": thief, "password": PASSWORD})[0] == 401


def test_staff_do_not_redirect_the_billing_mail_while_they_act_for_a_customer(
    target: Target,
) -> None:
    path, owner = target.customer()
    member_id = owner.call("GET", "/v1/me").body["member_id"]
    reason, key = {"reason": "a look"}, secrets.token_hex(8)
    acting = target.boss.call("POST", f"{path}/members/{member_id}/login-as", reason, key=key)
    sent = {"Authorization": f"Bearer {acting.body['access_token']}"}

    def change(**billing: str) -> tuple[int, str | None]:
        answer = Api(target.address)._once("PATCH", path, {"billing": billing}, sent)
        return answer.status, answer.body.get("code")

    assert change(email="staff@evil.example", city="Bonn") == (403, "forbidden")
    assert change(city="Bonn") == (200, None)


def test_mails_are_readable_by_their_owner_only(target: Target) -> None:
    target.customer()

    modes = {Path(mail).stat().st_mode & 0o777 for mail in target.mail.glob("*.eml")}

    assert modes == {0o600}


def test_failures_of_others_lock_nobody_out(target: Target) -> None:
    """The last test here, because it leaves a network from which nobody new can sign in."""
    _, owner = target.customer()
    email = owner._credentials["email"]
    session = Api(target.address)._once("POST", "/v1/sessions", owner._credentials, {}).body
    key = {"name": "Sync", "scopes": ["cust:list"]}
    key_of_boss = target.boss.call("POST", "/v1/api-keys", key, key=secrets.token_hex(8)).body

    def statuses(path: str, bodies: list[dict[str, object]]) -> set[int]:
        return {target.post(path, body)[0] for body in bodies}

    guesses: list[dict[str, object]] = [{"email": email, "password": OTHER}] * 3
    guesses += [{"email": f"{n}@x.example", "password": OTHER} for n in range(22)]
    assert statuses("/v1/sessions", guesses) == {401, 429}
    invented: list[dict[str, object]] = [{"refresh_token": f"r{n}"} for n in range(35)]
    assert statuses("/v1/sessions/refresh", invented) == {401, 429}
    keys: list[dict[str, object]] = [{"api_key": f"clk_{n:043}"} for n in range(35)]
    assert statuses("/v1/sessions", keys) == {401, 429}
    refresh = {"refresh_token": session["refresh_token"]}
    assert target.post("/v1/sessions", {"email": email, "password": PASSWORD}) == (201, "")
    assert target.post("/v1/sessions/refresh", refresh) == (201, "")
    assert target.post("/v1/sessions", {"api_key": key_of_boss["api_key"]})[0] == 201
