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

from tests.identity.forgeries import ACT, ATTACKS, Mint
from tests.identity.system import ADMIN, PASSWORD, System

READ = {"org": "/v1/settings", "billing": "/v1/wallet", "membership": "/v1/me"}
WAYS = ("directly", "through the gateway")
JWKS = "/.well-known/jwks.json"


@dataclass
class Place:
    """All doors, a good token for them, and what has come of what was tried there."""

    system: System
    mint: Mint
    refresh_token: str
    reached: list[str]
    watched: Mapping[str, sqlite3.Connection]

    def clients(self) -> Iterator[tuple[str, str, Client]]:
        """Way, service, and whom to ask."""
        for service in READ:
            yield "directly", service, Client(self.system.apps[service], use_cookies=False)
            yield "through the gateway", service, Client(self.system.gateway, use_cookies=False)

    def tries(self, **how: Any) -> Iterator[tuple[str, TestResponse]]:
        """Read and change at every door, asking in this way."""
        for way, service, client in self.clients():
            method, path, body = self.change(service)
            yield f"{way}, GET {READ[service]}", client.open(READ[service], **how)
            yield (
                f"{way}, {method} {path}",
                client.open(path, method=method, json=body, **_keyed(how)),
            )

    def change(self, service: str) -> tuple[str, str, dict[str, Any]]:
        """A change there that the good token may make."""
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
        """A number of each database that moves with every commit."""
        return {
            name: found.execute("PRAGMA data_version").fetchone()[0]
            for name, found in self.watched.items()
        }

    def assert_refused(self, *, status: int = 401, code: str = "invalid_token", **how: Any) -> None:
        """At every door, and nothing changed, and the gateway let nothing through."""
        before, self.reached[:] = self.versions(), []
        for where, answer in self.tries(**how):
            assert answer.status_code == status, (where, answer.status_code, answer.text[:500])
            assert answer.content_type == "application/problem+json", where
            assert answer.json["code"] == code, where
            assert status != 401 or answer.headers["WWW-Authenticate"] == "Bearer", where
        assert self.versions() == before
        assert self.reached == []

    def assert_taken(self, token: str) -> None:
        """At every door."""
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
    """In a header that no client library has looked at."""
    return {"environ_overrides": {"HTTP_AUTHORIZATION": scheme + token}}


@pytest.fixture(scope="module")
def now() -> Iterator["Hands"]:
    """The time stands still, else what is a second too old or too new would not stay so."""
    with pytest.MonkeyPatch.context() as patch:
        hands = Hands(clock.now())
        patch.setattr(clock, "now", lambda: hands.at)
        yield hands


@dataclass
class Hands:
    at: datetime


@pytest.fixture(scope="module")
def place(now: Hands, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
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
        yield Place(system, mint, login["refresh_token"], reached, watched)


def test_the_valid_token_works_everywhere(place: Place) -> None:
    for way, service, client in place.clients():
        before = place.versions()
        method, path, body = place.change(service)
        answer = client.open(path, method=method, json=body, **_keyed(sent(place.mint.good)))
        assert answer.status_code < 300, (way, service, answer.text)
        assert place.versions()[service] > before[service]
    place.assert_taken(place.mint.good)


def test_a_token_rebuilt_identically_is_accepted(place: Place) -> None:
    mint = place.mint
    for token in (
        mint.said(),
        mint.headed(),
        mint.said(proved=mint.now + 29),
        mint.said(iat=mint.now - 3200),
    ):
        place.assert_taken(token)
    for where, answer in place.tries(**sent(mint.said(act=ACT))):
        assert answer.status_code in (200, 201, 403), where


@pytest.mark.parametrize("name", ATTACKS)
def test_a_token_that_differs_from_ours_is_refused(place: Place, name: str) -> None:
    place.assert_refused(**sent(ATTACKS[name](place.mint)))


def test_our_other_secrets_are_not_accepted_as_access_tokens(place: Place) -> None:
    client, (method, path, _) = Client(place.system.gateway), place.change("membership")
    body = {"name": "New", "email": "new@provider.example", "portal_access": True, "role": "member"}
    assert (
        client.open(path, method=method, json=body, **_keyed(sent(place.mint.good))).status_code
        == 201
    )
    place.system.settle()
    mail = sorted((place.system.place.data / "mail").glob("*.eml"))[-1].read_text()
    mailed = mail.partition("/verify/")[2].split()[0]
    assert len(mailed) > 20

    for secret in (place.refresh_token, mailed, place.system.settings["org"].internal_secret):
        place.assert_refused(**sent(secret))


def test_a_token_outside_the_header_is_ignored(place: Place) -> None:
    good = place.mint.good
    for name in ("access_token", "token", "authorization", "bearer_token", "jwt"):
        place.assert_refused(query_string={name: good})
        place.assert_refused(environ_overrides={"HTTP_COOKIE": f"{name}={good}"})
    for header in (
        "X_AUTHORIZATION",
        "PROXY_AUTHORIZATION",
        "X_ACCESS_TOKEN",
        "X_FORWARDED_AUTHORIZATION",
    ):
        place.assert_refused(environ_overrides={f"HTTP_{header}": f"Bearer {good}"})


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
def test_another_scheme_is_refused(place: Place, scheme: str) -> None:
    place.assert_refused(**sent(place.mint.good, scheme))


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_case_insensitive(place: Place, scheme: str) -> None:
    for where, answer in place.tries(**sent(place.mint.good, scheme)):
        assert answer.status_code < 300, where


@pytest.mark.parametrize("other", ["Bearer {good}", "Bearer x", "Basic eA==", ""])
def test_two_authorization_headers_are_refused(place: Place, other: str) -> None:
    pair = [f"Bearer {place.mint.good}", other.format(good=place.mint.good)]
    for values in (pair, pair[::-1]):
        place.assert_refused(headers=Headers([("Authorization", value) for value in values]))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_clocks_may_differ_by_30_seconds(place: Place, now: Hands, name: str) -> None:
    sign, mint = (-1 if name == "exp" else 1), place.mint
    ends = {"exp": mint.now + 60} if name != "exp" else {}
    place.assert_taken(mint.said(**{**ends, name: mint.now + sign * 29}))
    place.assert_refused(**sent(mint.said(**{**ends, name: mint.now + sign * 31})))


def test_an_accepted_token_is_refused_once_it_expires(place: Place, now: Hands) -> None:
    good, began = place.mint.good, now.at
    place.assert_taken(good)
    try:
        now.at = began + timedelta(seconds=331)
        place.assert_refused(**sent(good))
        now.at = began - timedelta(seconds=31)
        place.assert_refused(**sent(good))
    finally:
        now.at = began


@pytest.fixture
def issuer(place: Place) -> Iterator["Issuer"]:
    """Membership's keys, to be changed as an operator changes them; as they were in the end."""
    made = Issuer(place)
    known = place.system.signer
    yield made
    made.become(known)
    made.age(301)
    place.assert_taken(place.mint.good)


class Issuer:
    """What a restart of membership with other keys changes, and what the others remember of the
    keys before."""

    def __init__(self, place: Place) -> None:
        apps, forwarder = place.system.apps, place.system.gateway.extensions["forwarder"]
        self._membership = apps["membership"]
        self._verifiers = [
            apps[name].extensions["access_control"].verifier for name in ("org", "billing")
        ]
        self._verifiers.append(forwarder._guard._verifier)

    def become(self, signer: Signer) -> None:
        """Started anew with these keys."""
        self._membership.extensions["signer"] = signer
        self._membership.extensions["access_control"].verifier.keys = signer

    def age(self, seconds: float) -> None:
        """Time passes for whoever remembers keys."""
        for verifier in self._verifiers:
            verifier.keys._at -= seconds

    def forget(self) -> None:
        """All others are started anew."""
        for verifier in self._verifiers:
            verifier.keys._keys, verifier.keys._at = None, float("-inf")


def test_a_key_rotation_in_four_phases_refuses_nobody(place: Place, issuer: Issuer) -> None:
    old, new = place.system.settings["membership"].signing_key, OKPKey.generate_key("Ed25519")
    new_pem, mint = new.as_pem(private=True).decode(), place.mint
    by_new = mint.under({**mint.header, "kid": new.thumbprint()}, key=new)

    place.assert_taken(mint.good)
    place.assert_refused(**sent(by_new))

    issuer.become(Signer(old, new_pem))
    place.assert_taken(mint.good)
    issuer.age(301)
    place.assert_taken(mint.good)

    issuer.become(Signer(new_pem, old))
    place.assert_taken(by_new)
    place.assert_taken(mint.good)

    issuer.become(Signer(new_pem))
    place.assert_taken(by_new)
    issuer.age(301)
    place.assert_refused(**sent(mint.good))
    place.assert_refused(**sent(mint.headed(kid=new.thumbprint())))
    place.assert_taken(by_new)


def test_a_leaked_key_is_refused_once_the_new_one_is_known(place: Place, issuer: Issuer) -> None:
    new, mint = OKPKey.generate_key("Ed25519"), place.mint
    place.assert_taken(mint.good)

    issuer.become(Signer(new.as_pem(private=True).decode()))
    issuer.age(31)

    place.assert_taken(mint.under({**mint.header, "kid": new.thumbprint()}, key=new))
    place.assert_refused(**sent(mint.good))


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets the issuer's keys."""
    send = InProcess.send

    def fails(
        self: InProcess, method: str, path: str, headers: Any, body: bytes | None = None
    ) -> ServiceResponse:
        if path == JWKS:
            raise Unavailable("away")
        return send(self, method, path, headers, body)

    monkeypatch.setattr(InProcess, "send", fails)


def test_cached_keys_work_while_the_issuer_is_unavailable(
    place: Place, issuer: Issuer, silent: None
) -> None:
    place.assert_taken(place.mint.good)
    issuer.age(1000)
    place.assert_taken(place.mint.good)
    issuer.age(1000)
    place.assert_refused(**sent(ATTACKS["Ed25519 by another key under its kid"](place.mint)))


def test_without_keys_every_token_gets_unavailable_not_unauthenticated(
    place: Place, issuer: Issuer, silent: None
) -> None:
    issuer.forget()
    place.reached.clear()
    before = place.versions()
    for token in (place.mint.good, ATTACKS["Ed25519 by another key under its kid"](place.mint)):
        for where, answer in place.tries(**sent(token)):
            if where.startswith("directly") and ("/v1/me" in where or "/members" in where):
                continue  # membership has its own
            assert (answer.status_code, answer.json["code"]) == (503, "service_unavailable"), where
            assert answer.content_type == "application/problem+json"
    assert (
        place.versions()["org"] == before["org"]
        and place.versions()["billing"] == before["billing"]
    )
    assert place.reached == []
