"""Who gets in, and who does not any more."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from chassis.caller import InvalidToken
from gateway.guard import Guard, Revocations, TokenRevoked
from gateway.guard.revocations import KEPT
from joserfc.jwk import ECKey, OKPKey
from werkzeug.datastructures import Headers

from tests.gateway.conftest import Build, World
from tests.gateway.fakes import KEY, ORG, bearer, claims, token, until


def _b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned(alg: str) -> str:
    return f"{_b64({'alg': alg, 'typ': 'at+jwt'})}.{_b64(claims())}."


def _hs256_with_public_key() -> str:
    signed = f"{_b64({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'k1'})}.{_b64(claims())}"
    return f"{signed}.{_b64(hmac.digest(KEY.as_pem(private=False), signed.encode(), 'sha256'))}"


def _signed_by_hand(**header: Any) -> str:
    signed = f"{_b64({'alg': 'Ed25519', 'typ': 'at+jwt', 'kid': 'k1', **header})}.{_b64(claims())}"
    private: Any = KEY.private_key
    return f"{signed}.{_b64(private.sign(signed.encode()))}"


def _cut(text: str, how: str) -> str:
    head, body, signature = text.split(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    return {"stripped": f"{head}.{body}.", "truncated": text[:-8], "two_parts": f"{head}.{body}",
            "one_bit": f"{head}.{body}.{flipped}"}[how]


OTHER_ORG = _b64(claims(org="org_01kz0000000000000000000000"))
def bad_tokens() -> dict[str, str]:
    """Made when they are used: the suite runs longer than a token lives."""
    return {
        **{f"alg {alg}": _unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", "")},
        "hs256 with the public key": _hs256_with_public_key(),
        "other key": token(key=OKPKey.generate_key("Ed25519", {"kid": "k1"})),
        "unknown kid": token({"kid": "../../etc/passwd"}, key=OKPKey.generate_key("Ed25519")),
        "other curve": token({"alg": "ES256"}, key=ECKey.generate_key("P-256")),
        **{how: _cut(token(), how) for how in ("stripped", "truncated", "two_parts", "one_bit")},
        "claims changed": ".".join([token().split(".")[0], OTHER_ORG, token().split(".")[2]]),
        "other audience": token(aud="console"), "list of audiences": token(aud=["clientele", "console"]),
        "no audience": token(aud=None), "other issuer": token(iss="clientele.example"),
        "expired": token(exp=time.time() - 60), "not yet": token(nbf=time.time() + 120),
        "from the future": token(iat=time.time() + 120), "exp as text": token(exp="9999999999"),
        "no exp": token(exp=None), "no organization": token(org=""), "no sid": token(sid=None),
        "other type": token({"typ": "refresh+jwt"}), "crit": _signed_by_hand(crit=["x"], x=1),
        "own key in header": _signed_by_hand(jwk=KEY.as_dict(private=False)),
        "huge": token(name="x" * 1_000_000), "empty": "", "blank": " ", "null byte": "a\0b", "nonsense": "a.b.c",
    }


def test_a_valid_token_gets_in_and_is_passed_on(world: World) -> None:
    given = bearer()
    assert world.client.get("/v1/me", headers=given).status_code == 200
    assert world.membership.seen[0].headers["AUTHORIZATION"] == given["Authorization"]


@pytest.mark.parametrize("name", bad_tokens())
def test_a_bad_token_is_401(world: World, name: str) -> None:
    answer = world.client.get("/v1/me", headers={"Authorization": f"Bearer {bad_tokens()[name]}"})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.content_type == "application/problem+json"
    assert world.forwarded == []


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "BearerX ", "Bearer\t"])
def test_another_scheme_is_401(world: World, scheme: str) -> None:
    assert world.client.get("/v1/me", headers={"Authorization": scheme + token()}).status_code == 401


def test_no_token_a_token_in_the_query_and_two_tokens_are_401(world: World) -> None:
    assert world.client.get("/v1/me").status_code == 401
    for name in ("access_token", "token", "authorization"):
        assert world.client.get(f"/v1/me?{name}={token()}").status_code == 401
    two = Headers([("Authorization", f"Bearer {token()}"), ("Authorization", f"Bearer {token()}")])
    assert world.client.get("/v1/me", headers=two).status_code == 401
    assert world.client.get("/v1/me", headers={"Cookie": f"access_token={token()}"}).status_code == 401
    assert world.forwarded == []


OPEN = [("POST", "/v1/sessions"), ("POST", "/v1/sessions/refresh"), ("GET", "/v1/verifications/x"),
        ("POST", "/v1/verifications/x"), ("POST", "/v1/password-resets"), ("POST", "/v1/password-resets/x"),
        ("GET", "/.well-known/jwks.json")]
CLOSED = [("GET", "/v1/sessions"), ("DELETE", "/v1/sessions/current"), ("POST", "/v1/sessions/exchange"),
          ("GET", "/v1/sessions/refresh"), ("POST", "/v1/sessions/ses_1"), ("POST", "/v1/pins/verify"),
          ("POST", "/v1/usage"), ("GET", f"/v1/organizations/{ORG}"), ("GET", "/v1/me"), ("GET", "/v1/api-keys")]


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_these_need_no_token_and_take_none_along(world: World, method: str, path: str) -> None:
    assert world.client.open(path, method=method, headers={"Authorization": "Basic eA=="}).status_code == 200
    assert "AUTHORIZATION" not in world.membership.seen[0].headers


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_these_need_one(world: World, method: str, path: str) -> None:
    assert world.client.open(path, method=method).status_code == 401
    assert world.forwarded == []


REVOKED = [
    ("membership", {"kind": "session", "key": "ses_1"}), ("membership", {"kind": "identity", "key": "idn_1"}),
    ("membership", {"kind": "member", "key": "mem_1"}),
    ("org", {"kind": "organization", "key": ORG, "state": "closed"}),
    ("org", {"kind": "organization", "key": ORG, "state": "open"}),
]


@pytest.mark.parametrize(("service", "entry"), REVOKED)
def test_a_living_token_dies_when_a_feed_says_so(world: World, service: str, entry: dict[str, Any]) -> None:
    given = bearer()
    assert world.client.get("/v1/me", headers=given).status_code == 200
    getattr(world, service).entries.append({"seq": 1, "before": time.time(), **entry})
    until(lambda: world.client.get("/v1/me", headers=given).status_code == 401)
    answer = world.client.get("/v1/me", headers=given)
    assert (answer.json["code"], answer.headers["WWW-Authenticate"]) == ("token_revoked", "Bearer")
    others = {"sid": "ses_2", "sub": "idn_2", "mid": "mem_2"}
    expected = 401 if entry["kind"] == "organization" else 200
    assert world.client.get("/v1/me", headers=bearer(**others)).status_code == expected


def test_everything_revoked_before_the_start_is_known_before_the_first_request(build: Build) -> None:
    world = build()
    world.membership.entries += [{"seq": n, "kind": "session", "key": f"ses_{n}", "before": time.time()}
                                 for n in range(1, 500)]
    assert world.client.get("/v1/me", headers=bearer(sid="ses_499")).status_code == 401
    assert world.client.get("/v1/me", headers=bearer(sid="ses_500")).status_code == 200


def test_a_feed_that_counts_anew_is_read_anew(world: World) -> None:
    world.org.entries.append({"seq": 7, "kind": "organization", "key": "org_x", "state": "closed", "before": 1.0})
    assert world.client.get("/v1/me", headers=bearer()).status_code == 200
    feed = world.app.extensions["forwarder"]._feeds[1]
    until(lambda: feed._last == 7)
    world.org.entries = [{"seq": 1, "kind": "organization", "key": ORG, "state": "closed", "before": 1.0}]
    until(lambda: world.client.get("/v1/me", headers=bearer()).status_code == 401)


@pytest.mark.parametrize("service", ["membership", "org"])
def test_a_silent_feed_lets_nobody_in_until_it_speaks_again(build: Build, service: str) -> None:
    world = build(feed_silence_s=0.3)
    assert world.client.get("/v1/me", headers=bearer()).status_code == 200
    getattr(world, service).silent = True
    until(lambda: world.client.get("/v1/me", headers=bearer()).status_code == 503)
    answer = world.client.get("/v1/me", headers=bearer())
    assert (answer.json["code"], answer.headers["Retry-After"]) == ("service_unavailable", "2")
    assert world.client.get("/healthz").status_code == 200
    assert world.client.get("/readyz").json["checks"][f"revocations of {service}"] == "Unavailable"
    assert world.client.post("/v1/sessions").status_code == 200
    getattr(world, service).silent = False
    until(lambda: world.client.get("/v1/me", headers=bearer()).status_code == 200)


class _Counting:
    def __init__(self, exp: float) -> None:
        self.calls, self.exp = 0, exp

    def verify(self, given: str) -> dict[str, Any]:
        self.calls += 1
        if given == "bad":
            raise InvalidToken()
        return claims(exp=self.exp, iat=100.0, sid=f"ses_{given}")


def test_a_token_is_verified_once_until_it_ends_and_held_against_the_revocations_each_time() -> None:
    at = [1000.0]
    verifier, revocations = _Counting(exp=1300.0), Revocations(lambda: at[0])
    guard = Guard(verifier, revocations, [], clock=lambda: at[0], size=3)
    for _ in range(5):
        guard.authenticate("Bearer a")
    assert verifier.calls == 1
    at[0] = 1300.0
    guard.authenticate("Bearer a")
    guard.authenticate("Bearer a")
    assert verifier.calls == 3, "what has ended is not remembered"
    at[0] = 1001.0
    for name in "bcdefgh":
        guard.authenticate(f"Bearer {name}")
    assert len(guard._known) == 3
    revocations.learn({"seq": 1, "kind": "session", "key": "ses_h", "before": 100.0})
    with pytest.raises(TokenRevoked):
        guard.authenticate("Bearer h")
    for _ in range(2):
        with pytest.raises(InvalidToken):
            guard.authenticate("Bearer bad")


def test_the_latest_entry_of_an_organization_wins_in_whatever_order_it_comes() -> None:
    known = Revocations(lambda: 1000.0)
    rows = [{"seq": seq, "kind": "organization", "key": ORG, "state": state, "before": before}
            for seq, state, before in ((1, "closed", 100.0), (2, "open", 200.0), (3, "closed", 300.0),
                                       (4, "open", 400.0))]
    for row in (rows[2], rows[0], rows[1]):
        known.learn(row)
    assert known.covers(claims(iat=999.0))
    known.learn(rows[3])
    known.learn(rows[2])
    assert known.covers(claims(iat=399.9))
    assert not known.covers(claims(iat=400.0))


def test_old_entries_are_forgotten_but_not_before_the_longest_token_ends_nor_closed_organizations() -> None:
    at = [10_000.0]
    known = Revocations(lambda: at[0])
    known.learn({"seq": 1, "kind": "session", "key": "ses_1", "before": 10_000.0})
    known.learn({"seq": 1, "kind": "organization", "key": ORG, "state": "closed", "before": 10_000.0})
    at[0] += 3600
    known.learn({"seq": 2, "kind": "session", "key": "ses_9", "before": at[0]})
    assert ("session", "ses_1") in known._before
    at[0] += KEPT
    known.learn({"seq": 3, "kind": "session", "key": "ses_9", "before": at[0]})
    assert set(known._before) == {("session", "ses_9")}
    assert known.covers(claims(iat=at[0]))
