"""What the runbook says about a leaked signing key, pepper or API key, done on processes while
people and programs use the API."""

import base64
import itertools
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyotp
import pytest
from devtools.demo.api import Api, Unreachable
from devtools.processes import System
from joserfc import jwt
from joserfc.jwk import OKPKey

from tests import customers
from tests.waiting import until

PASSWORD = "four calm otters drift"
PATHS = ("/v1/organizations?limit=1", "/v1/remote-support")
SCOPES = ["cust:list", "cust:read"]
WEB = ("membership-web", "org-web", "billing-web", "gateway-web")


class Client:
    """Uses the API all the time. Where a token is refused it gets another from its session or key;
    while a service restarts it tries again."""

    def __init__(self, system: System, login: dict[str, str]) -> None:
        self.api = Api(system.address)
        self.login = login
        self.paths = itertools.cycle(PATHS)
        self.session = self.ask("POST", "/v1/sessions", login)
        self.seen: list[int] = []
        self.renewed = 0
        self.wrong: list[Any] = []

    @property
    def token(self) -> str:
        return str(self.session["access_token"])

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """The body of the response, whose status is 2xx."""
        answer = until(lambda: self.once(method, path, body, token))
        assert answer.status < 300, (answer, answer.body)
        return answer.body

    def once(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """A response; None if something is being restarted."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = self.api._once(method, path, body, given)
        except Unreachable:
            return None
        return None if answer.status in (502, 503) else answer

    def renew(self) -> None:
        """Another token, without a password."""
        self.renewed += 1
        if "api_key" in self.login:
            self.session = self.ask("POST", "/v1/sessions", self.login)
        else:
            old = {"refresh_token": self.session["refresh_token"]}
            self.session = self.ask("POST", "/v1/sessions/refresh", old)

    def use(self) -> None:
        """Send a request, each time to another service."""
        path = next(self.paths)
        answer = self.once("GET", path, token=self.token)
        if answer is None:
            return
        self.seen.append(answer.status)
        if answer.status == 401 and answer.body["code"] == "invalid_token":
            self.renew()
        elif answer.status != 200:
            self.wrong.append((path, answer))


@contextmanager
def at_work(clients: list[Client]) -> Iterator[None]:
    """These clients use the API meanwhile, and are refused nothing but what the runbook says."""
    stop = threading.Event()

    def work(client: Client) -> None:
        try:
            while not stop.wait(0.05):
                client.use()
        except Exception as problem:
            client.wrong.append(problem)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [client.wrong for client in clients] == [[] for _ in clients]


def restart(system: System, names: tuple[str, ...], **secret_settings: str) -> None:
    system.stop(names)
    system.start(names, **secret_settings)
    system.await_ready()


def owner_with_codes(system: System, staff: Client) -> tuple[str, pyotp.TOTP, list[str]]:
    """The owner of a customer who uses one-time codes: address, authenticator, recovery codes."""
    admin = customers.sign_in_as_admin(system.address, system.password)
    email = admin.call("GET", customers.open_customer(admin)).body["owner"]["email"]
    link = until(
        lambda: next(
            (
                match[1]
                for mail in system.mail.glob("*.eml")
                if email in (text := mail.read_text())
                and (match := re.search(r"/verify/([A-Za-z0-9_-]+)", text))
            ),
            None,
        )
    )
    staff.ask("POST", f"/v1/verifications/{link}", {"password": PASSWORD})
    owner = Client(system, {"email": email, "password": PASSWORD})
    phone = pyotp.TOTP(owner.ask("POST", "/v1/me/totp", token=owner.token)["secret"])
    codes = owner.ask("POST", "/v1/me/totp/confirm", {"otp": phone.now()}, owner.token)
    return email, phone, codes["recovery_codes"]


@pytest.mark.exhaustive
def test_a_leaked_signing_key_and_pepper_are_replaced_while_requests_run(system: System) -> None:
    staff = Client(system, {"email": "admin@example.com", "password": system.password})
    key = staff.ask("POST", "/v1/api-keys", {"name": "Watcher", "scopes": SCOPES}, staff.token)
    program = Client(system, {"api_key": key["api_key"]})
    email, phone, recovery_codes = owner_with_codes(system, staff)
    stolen_token, leaked, old_pepper = staff.token, system._signing_key, system._pepper
    new_key = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
    new = {"SIGNING_KEY": new_key, "PEPPER": secrets.token_hex(32)}

    def logs_in(otp: str) -> str:
        body = {"email": email, "password": PASSWORD, "otp": otp}
        answer = until(lambda: staff.once("POST", "/v1/sessions", body))
        return str(answer.body.get("code", answer.status))

    try:
        with at_work([staff, program]):
            until(lambda: len(program.seen) > 4)
            restart(system, WEB, **new, PREVIOUS_PEPPER=old_pepper)
            until(lambda: staff.renewed and program.renewed)
            output = system.command("membership", "reencrypt", **new, PREVIOUS_PEPPER=old_pepper)
            assert ", 0 cannot be decrypted" in output
            restart(system, ("membership-web",), **new)
            seen = len(staff.seen)
            until(lambda: len(staff.seen) > seen + 4)

        assert (staff.renewed, program.renewed) == (1, 1), "one token each, once"
        forged = {**staff.session, "access_token": signed_by(leaked, claims_of(staff.token))}
        for token in (stolen_token, forged["access_token"]):
            for path in PATHS:
                assert staff.once("GET", path, token=token).body["code"] == "invalid_token"
        assert logs_in(recovery_codes[0]) == "invalid_otp"
        assert logs_in(phone.at(int(time.time()) + 30)) == "201"
    finally:
        restart(system, WEB)


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def signed_by(pem: str, claims: dict[str, Any]) -> str:
    """A token as somebody with this key would make it."""
    key = OKPKey.import_key(pem)
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.thumbprint()}
    return jwt.encode(header, claims, key, algorithms=["Ed25519"])


def test_a_leaked_api_key_is_refused_and_its_program_goes_on_with_another(system: System) -> None:
    staff = Client(system, {"email": "admin@example.com", "password": system.password})
    made = staff.ask("POST", "/v1/api-keys", {"name": "Leaked", "scopes": SCOPES}, staff.token)
    program = Client(system, {"api_key": made["api_key"]})
    thief = Client(system, {"api_key": made["api_key"]})

    with at_work([staff]):
        rotated = staff.ask(
            "POST", f"/v1/api-keys/{made['id']}/rotate", {"overlap_minutes": 0}, staff.token
        )
        for token in (thief.token, program.token):
            sent = partial(staff.once, "GET", PATHS[0], token=token)
            until(lambda sent=sent: sent().status == 401)

    again = staff.once("POST", "/v1/sessions", {"api_key": made["api_key"]})
    assert (again.status, again.body["code"]) == (401, "invalid_credentials")
    program.login = {"api_key": rotated["api_key"]}
    program.renew()
    program.use()
    assert program.seen == [200] and staff.renewed == 0
