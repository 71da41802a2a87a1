"""Every attack on access tokens, at each service and through the gateway, is refused and changes
nothing."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from chassis.errors import Unavailable
from chassis.http.client import ServiceResponse
from chassis.runtime import clock
from gateway.clients import InProcess
from joserfc.jwk import OKPKey
from membership.values.signing import Signer
from werkzeug.datastructures import Headers
from werkzeug.test import Client, TestResponse

from tests.identity.forgeries.attacks import ATTACKS
from tests.identity.forgeries.forging import ACT
from tests.identity.forgeries.mint import Mint
from tests.identity.system import ADMIN, PASSWORD, System

READ = {"org": "/v1/settings", "billing": "/v1/wallet", "membership": "/v1/me"}
WAYS = ("directly", "through the gateway")
JWKS = "/.well-known/jwks.json"


@dataclass
class Targets:
    """The endpoints under attack, a valid token for them, and the effects of what was tried."""

    system: System
    mint: Mint
    refresh_token: str
    reached: list[str]
    watched: Mapping[str, sqlite3.Connection]

    def clients(self) -> Iterator[tuple[str, str, Client]]:
        """Each way to a service, the service, and a client for it."""
        for service in READ:
            yield "directly", service, Client(self.system.apps[service], use_cookies=False)
            yield "through the gateway", service, Client(self.system.gateway, use_cookies=False)

    def tries(self, **how: Any) -> Iterator[tuple[str, TestResponse]]:
        """A read and a change at every endpoint, with these request arguments."""
        for way, service, client in self.clients():
            method, path, body = self.change(service)
            yield f"{way}, GET {READ[service]}", client.open(READ[service], **how)
            yield (
                f"{way}, {method} {path}",
                client.open(path, method=method, json=body, **_keyed(how)),
            )

    def change(self, service: str) -> tuple[str, str, dict[str, Any]]:
        """A change that the valid token may make."""
        organization_id = self.mint.claims["org"]
        return {
            "org": ("PATCH", "/v1/settings", {"payment_terms_days": next(self._days) % 60}),
            "billing": ("POST", "/v1/wallet/top-ups", {"amount": "1.00", "method": "cash"}),
            "membership": (
                "POST",
                f"/v1/organizations/{organization_id}/members",
                {
                    "name": f"Colleague {next(self._days)}",
                    "portal_access": False,  # with a login, only so many an hour
                },
            ),
        }[service]

    def __post_init__(self) -> None:
        self._days = iter(range(1, 10**6))

    def versions(self) -> dict[str, int]:
        """A number of each database that changes with every commit."""
        return {
            name: database.execute("PRAGMA data_version").fetchone()[0]
            for name, database in self.watched.items()
        }

    def assert_refused(self, *, status: int = 401, code: str = "invalid_token", **how: Any) -> None:
        """Every endpoint refuses, nothing changes, and the gateway forwards nothing."""
        before, self.reached[:] = self.versions(), []
        for where, answer in self.tries(**how):
            assert answer.status_code == status, (where, answer.status_code, answer.text[:500])
            assert answer.content_type == "application/problem+json", where
            assert answer.json["code"] == code, where
            assert status != 401 or answer.headers["WWW-Authenticate"] == "Bearer", where
        assert self.versions() == before
        assert self.reached == []

    def assert_taken(self, token: str) -> None:
        """Every endpoint accepts the token."""
        for where, answer in self.tries(**sent(token)):
            assert answer.status_code < 300, (where, answer.status_code, answer.text[:500])


_NUMBERS = iter(range(10**9))


def _keyed(how: Mapping[str, Any]) -> dict[str, Any]:
    environ = {
        "HTTP_IDEMPOTENCY_KEY": f"forged-{next(_NUMBERS)}",
        **how.get("environ_overrides", {}),
    }
    return {**how, "environ_overrides": environ}


def sent(token: str, scheme: str = "Bearer ") -> dict[str, Any]:
    """A raw header that no client library has changed."""
    return {"environ_overrides": {"HTTP_AUTHORIZATION": scheme + token}}


@pytest.fixture(scope="module")
def now() -> Iterator["StoppedClock"]:
    """Stops the clock, so that a token that is one second too old or too new stays so."""
    with pytest.MonkeyPatch.context() as patch:
        stopped = StoppedClock(clock.now())
        patch.setattr(clock, "now", lambda: stopped.at)
        yield stopped


@dataclass
class StoppedClock:
    at: datetime


@pytest.fixture(scope="module")
def targets(now: StoppedClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    with ExitStack() as stack:
        system = stack.enter_context(closing(System(tmp_path_factory.mktemp("forgeries"))))
        system.settle()
        reached, forward = [], InProcess.forward

        def noted(
            self: InProcess, method: str, target: str, headers: Any, body: bytes = b""
        ) -> Any:
            reached.extend([f"{method} {target}"] if target.startswith("/v1/") else [])
            return forward(self, method, target, headers, body)

        stack.enter_context(pytest.MonkeyPatch.context()).setattr(InProcess, "forward", noted)
        login = system.call("POST", "/v1/sessions", {"email": ADMIN, "password": PASSWORD}).json
        watched = {
            n: stack.enter_context(closing(sqlite3.connect(path)))
            for n, path in system.files().items()
        }
        mint = Mint(system.signer._key, login["access_token"], now.at.timestamp())
        yield Targets(system, mint, login["refresh_token"], reached, watched)


def test_the_valid_token_works_everywhere(targets: Targets) -> None:
    for way, service, client in targets.clients():
        before = targets.versions()
        method, path, body = targets.change(service)
        answer = client.open(path, method=method, json=body, **_keyed(sent(targets.mint.good)))
        assert answer.status_code < 300, (way, service, answer.text)
        assert targets.versions()[service] > before[service]
    targets.assert_taken(targets.mint.good)


def test_a_token_rebuilt_identically_is_accepted(targets: Targets) -> None:
    mint = targets.mint
    for token in (
        mint.with_claims(),
        mint.with_header(),
        mint.with_claims(proved=mint.now + 29),
        mint.with_claims(iat=mint.now - 3200),
    ):
        targets.assert_taken(token)
    for where, answer in targets.tries(**sent(mint.with_claims(act=ACT))):
        assert answer.status_code in (200, 201, 403), where


@pytest.mark.parametrize("name", ATTACKS)
def test_a_token_that_differs_from_ours_is_refused(targets: Targets, name: str) -> None:
    targets.assert_refused(**sent(ATTACKS[name](targets.mint)))


def test_our_other_secrets_are_not_accepted_as_access_tokens(targets: Targets) -> None:
    client, (method, path, _) = Client(targets.system.gateway), targets.change("membership")
    body = {"name": "New", "email": "new@provider.example", "portal_access": True, "role": "member"}
    assert (
        client.open(path, method=method, json=body, **_keyed(sent(targets.mint.good))).status_code
        == 201
    )
    targets.system.settle()
    mail = sorted((targets.system.place.data / "mail").glob("*.eml"))[-1].read_text()
    mailed = mail.partition("/verify/")[2].split()[0]
    assert len(mailed) > 20

    for secret in (targets.refresh_token, mailed, targets.system.settings["org"].internal_secret):
        targets.assert_refused(**sent(secret))


def test_a_token_outside_the_header_is_ignored(targets: Targets) -> None:
    good = targets.mint.good
    for name in ("access_token", "token", "authorization", "bearer_token", "jwt"):
        targets.assert_refused(query_string={name: good})
        targets.assert_refused(environ_overrides={"HTTP_COOKIE": f"{name}={good}"})
    for header in (
        "X_AUTHORIZATION",
        "PROXY_AUTHORIZATION",
        "X_ACCESS_TOKEN",
        "X_FORWARDED_AUTHORIZATION",
    ):
        targets.assert_refused(environ_overrides={f"HTTP_{header}": f"Bearer {good}"})


@pytest.mark.parametrize(
    "scheme",
    [
        "",
        "Basic ",
        "Token ",
        "JWT ",
        "DPoP ",
        "Bearer",
        "BearerX ",
        "Bearer\t",
        " Bearer ",
        "Bearer\xa0",
        "Bearer, ",
        "Bearer token=",
        "Bearer Bearer ",
        "Basic eA==, Bearer ",
    ],
)
def test_another_scheme_is_refused(targets: Targets, scheme: str) -> None:
    targets.assert_refused(**sent(targets.mint.good, scheme))


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_case_insensitive(targets: Targets, scheme: str) -> None:
    for where, answer in targets.tries(**sent(targets.mint.good, scheme)):
        assert answer.status_code < 300, where


@pytest.mark.parametrize("other", ["Bearer {good}", "Bearer x", "Basic eA==", ""])
def test_two_authorization_headers_are_refused(targets: Targets, other: str) -> None:
    pair = [f"Bearer {targets.mint.good}", other.format(good=targets.mint.good)]
    for values in (pair, pair[::-1]):
        targets.assert_refused(headers=Headers([("Authorization", value) for value in values]))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_clocks_may_differ_by_30_seconds(targets: Targets, now: StoppedClock, name: str) -> None:
    sign, mint = (-1 if name == "exp" else 1), targets.mint
    ends = {"exp": mint.now + 60} if name != "exp" else {}
    targets.assert_taken(mint.with_claims(**{**ends, name: mint.now + sign * 29}))
    targets.assert_refused(**sent(mint.with_claims(**{**ends, name: mint.now + sign * 31})))


def test_an_accepted_token_is_refused_once_it_expires(targets: Targets, now: StoppedClock) -> None:
    good, began = targets.mint.good, now.at
    targets.assert_taken(good)
    try:
        now.at = began + timedelta(seconds=331)
        targets.assert_refused(**sent(good))
        now.at = began - timedelta(seconds=31)
        targets.assert_refused(**sent(good))
    finally:
        now.at = began


@pytest.fixture
def issuer(targets: Targets) -> Iterator["Issuer"]:
    """Membership's keys, changed as an operator would; restored at the end."""
    made = Issuer(targets)
    known = targets.system.signer
    yield made
    made.become(known)
    made.age(301)
    targets.assert_taken(targets.mint.good)


class Issuer:
    """Restarts membership with other keys; the other services have the previous keys cached."""

    def __init__(self, targets: Targets) -> None:
        apps, forwarder = targets.system.apps, targets.system.gateway.extensions["forwarder"]
        self._membership = apps["membership"]
        self._verifiers = [
            apps[name].extensions["access_control"].verifier for name in ("org", "billing")
        ]
        self._verifiers.append(forwarder._guard._verifier)

    def become(self, signer: Signer) -> None:
        """Restart membership with these keys."""
        self._membership.extensions["signer"] = signer
        self._membership.extensions["access_control"].verifier.keys = signer

    def age(self, seconds: float) -> None:
        """Let the cached keys of the other services age."""
        for verifier in self._verifiers:
            verifier.keys._at -= seconds

    def forget(self) -> None:
        """Restart all other services."""
        for verifier in self._verifiers:
            verifier.keys._keys, verifier.keys._at = None, float("-inf")


def test_a_key_rotation_in_four_phases_refuses_nobody(targets: Targets, issuer: Issuer) -> None:
    old, new = targets.system.settings["membership"].signing_key, OKPKey.generate_key("Ed25519")
    new_pem, mint = new.as_pem(private=True).decode(), targets.mint
    by_new = mint.under({**mint.header, "kid": new.thumbprint()}, key=new)

    targets.assert_taken(mint.good)
    targets.assert_refused(**sent(by_new))

    issuer.become(Signer(old, new_pem))
    targets.assert_taken(mint.good)
    issuer.age(301)
    targets.assert_taken(mint.good)

    issuer.become(Signer(new_pem, old))
    targets.assert_taken(by_new)
    targets.assert_taken(mint.good)

    issuer.become(Signer(new_pem))
    targets.assert_taken(by_new)
    issuer.age(301)
    targets.assert_refused(**sent(mint.good))
    targets.assert_refused(**sent(mint.with_header(kid=new.thumbprint())))
    targets.assert_taken(by_new)


def test_a_leaked_key_is_refused_once_the_new_one_is_known(
    targets: Targets, issuer: Issuer
) -> None:
    new, mint = OKPKey.generate_key("Ed25519"), targets.mint
    targets.assert_taken(mint.good)

    issuer.become(Signer(new.as_pem(private=True).decode()))
    issuer.age(31)

    targets.assert_taken(mint.under({**mint.header, "kid": new.thumbprint()}, key=new))
    targets.assert_refused(**sent(mint.good))


@pytest.fixture
def silent(targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the issuer's keys unavailable once every service has them cached."""
    targets.assert_taken(targets.mint.good)
    send = InProcess.send

    def fails(
        self: InProcess, method: str, path: str, headers: Any, body: bytes | None = None
    ) -> ServiceResponse:
        if path == JWKS:
            raise Unavailable("away")
        return send(self, method, path, headers, body)

    monkeypatch.setattr(InProcess, "send", fails)


def test_cached_keys_work_while_the_issuer_is_unavailable(
    targets: Targets, issuer: Issuer, silent: None
) -> None:
    targets.assert_taken(targets.mint.good)
    issuer.age(1000)
    targets.assert_taken(targets.mint.good)
    issuer.age(1000)
    targets.assert_refused(**sent(ATTACKS["Ed25519 by another key under its kid"](targets.mint)))


def test_without_keys_every_token_gets_unavailable_not_unauthenticated(
    targets: Targets, issuer: Issuer, silent: None
) -> None:
    issuer.forget()
    targets.reached.clear()
    before = targets.versions()
    for token in (targets.mint.good, ATTACKS["Ed25519 by another key under its kid"](targets.mint)):
        for where, answer in targets.tries(**sent(token)):
            if where.startswith("directly") and ("/v1/me" in where or "/members" in where):
                continue  # membership has its own
            assert (answer.status_code, answer.json["code"]) == (503, "service_unavailable"), where
            assert answer.content_type == "application/problem+json"
    assert (
        targets.versions()["org"] == before["org"]
        and targets.versions()["billing"] == before["billing"]
    )
    assert targets.reached == []
