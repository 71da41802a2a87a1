"""Tokens that are not ours, and what a wrong one must not get."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from chassis import clock
from chassis.caller import LEEWAY, MOST_GOOD, InvalidToken, RemoteKeys, Verifier, bearer
from chassis.errors import Unavailable
from joserfc.jwk import OKPKey

from tests.chassis.doors import KEY, claims, keys, token

verifier = Verifier(RemoteKeys(keys))
now = int(time.time())


@pytest.fixture(autouse=True)
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the attacks below would fail for being old."""
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(now, UTC))


def part(document: Any) -> str:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(header: Any, signature: str = "", body: Any = None) -> str:
    return f"{part(header)}.{part(body or claims())}.{signature}"


def with_public_key_as_secret() -> str:
    signed = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": "now"}).rstrip(".")
    public = base64.urlsafe_b64decode(KEY.as_dict(private=False)["x"] + "=")
    return f"{signed}.{part(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


def flipped(place: int) -> str:
    parts = token().split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[place] + "=" * (-len(parts[place]) % 4)))
    raw[len(raw) // 2] ^= 1
    parts[place] = part(bytes(raw))
    return ".".join(parts)


def with_other_claims() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{part(claims(role='owner', sub='idn_victim'))}.{signature}"


STRANGER = OKPKey.generate_key("Ed25519", {"kid": "stranger"})
IMPOSTOR = OKPKey.generate_key("Ed25519", {"kid": "now"})
ATTACKS: dict[str, Any] = {
    **{f"alg {alg}": unsigned({"alg": alg, "typ": "at+jwt", "kid": "now"})
       for alg in ("none", "None", "NONE", "nOnE", "", "ED25519", "none ")},
    "alg missing": unsigned({"typ": "at+jwt", "kid": "now"}),
    "alg is a list": unsigned({"alg": ["Ed25519"], "typ": "at+jwt", "kid": "now"}),
    "alg is null": unsigned({"alg": None, "typ": "at+jwt"}),
    "the public key as a shared secret": with_public_key_as_secret(),
    "EdDSA spelled the old way": unsigned({"alg": "EdDSA", "typ": "at+jwt", "kid": "now"}, token().split(".")[2]),
    "an unknown key": token(STRANGER),
    "the name of our key on another": token(IMPOSTOR),
    "the key in the header": token(IMPOSTOR, {"jwk": IMPOSTOR.as_dict(private=False)}),
    "our own key in the header": token(header={"jwk": KEY.as_dict(private=False)}),
    "where to find the key": token(IMPOSTOR, {"jku": "https://evil.example/keys"}),
    "kid is a path": token(IMPOSTOR, {"kid": "../../dev/null"}),
    "kid is SQL": token(IMPOSTOR, {"kid": "now' OR '1'='1"}),
    "kid is a number": unsigned({"alg": "Ed25519", "typ": "at+jwt", "kid": 7}, token().split(".")[2]),
    "kid is long": token(IMPOSTOR, {"kid": "k" * 2000}),
    "typ JWT": token(header={"typ": "JWT"}),
    "typ missing": token(header={"typ": None}),
    "typ of a refresh token": token(header={"typ": "refresh+jwt"}),
    "crit": unsigned({"alg": "Ed25519", "typ": "at+jwt", "kid": "now", "crit": ["x"], "x": 1}, token().split(".")[2]),
    "zip": unsigned({"alg": "Ed25519", "typ": "at+jwt", "kid": "now", "zip": "DEF"}, token().split(".")[2]),
    "signature stripped": token().rpartition(".")[0] + ".",
    "two parts": token().rpartition(".")[0],
    "four parts": token() + ".x",
    "truncated": token()[:-10],
    "a bit of the header changed": flipped(0),
    "a bit of the claims changed": flipped(1),
    "a bit of the signature changed": flipped(2),
    "other claims under the signature": with_other_claims(),
    "a megabyte": "a" * 1_000_000,
    "a megabyte of good beginning": token() + "a" * 1_000_000,
    "a deep header": part(b"[" * 2900) + ".e30.x",
    "empty": "", "dots": "..", "NUL": "\0", "not ascii": "ü.ü.ü", "not base64": "!.!.!",
    "aud another": token(aud="other"), "aud a list": token(aud=["clientele", "other"]), "aud missing": token(aud=None),
    "aud longer": token(aud="clientele2"),
    "iss another": token(iss="https://evil.example"), "iss a list": token(iss=["clientele"]),
    "iss missing": token(iss=None),
    "exp past": token(exp=now - LEEWAY - 2), "exp missing": token(exp=None), "exp text": token(exp=str(now + 300)),
    "exp negative": token(exp=-1), "exp true": token(exp=True), "exp a list": token(exp=[now + 300]),
    "exp a float of the past": token(exp=now - LEEWAY - 2.5),
    "nbf to come": token(nbf=now + 300), "nbf text": token(nbf="0"), "nbf missing": token(nbf=None),
    "iat to come": token(iat=now + 300), "iat text": token(iat="0"), "iat missing": token(iat=None),
    "sub empty": token(sub=""), "sub missing": token(sub=None), "sub a number": token(sub=7),
    "org of another kind": token(org="mem_01h455vb4pex5vsknk084sn02q"), "org missing": token(org=None),
    "org in capitals": token(org=claims()["org"].upper()), "org with newline": token(org=claims()["org"] + "\n"),
    "kind missing": token(kind=None), "role missing": token(role=None), "role a list": token(role=["owner"]),
    "sid missing": token(sid=None),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_token_that_is_not_just_as_we_make_them_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(ATTACKS[name])


def test_a_token_as_we_make_them_is_accepted() -> None:
    assert verifier.verify(token())["sub"] == "idn_somebody"


@pytest.mark.parametrize("other", [{"exp": now - LEEWAY + 20}, {"nbf": now + LEEWAY - 20}, {"iat": now + LEEWAY - 20}])
def test_clocks_may_differ_by_half_a_minute(other: dict[str, int]) -> None:
    assert verifier.verify(token(**other))


@pytest.mark.parametrize(("later", "other"), [(301 + LEEWAY, {}), (-1 - LEEWAY, {"iat": now - 60})])
def test_a_token_that_was_good_is_refused_once_it_is_out_of_its_time(
    monkeypatch: pytest.MonkeyPatch, later: int, other: dict[str, int]
) -> None:
    signed = token(nbf=now, exp=now + 300, **other)
    assert verifier.verify(signed)["exp"] == now + 300
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(now + later, UTC))
    with pytest.raises(InvalidToken):
        verifier.verify(signed)


def test_a_token_that_was_good_is_refused_once_its_key_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [keys(), {"keys": [STRANGER.as_dict(private=False)]}]
    remote = RemoteKeys(lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    fresh, signed = Verifier(remote), token()
    assert fresh.verify(signed)
    remote._at -= 301
    with pytest.raises(InvalidToken):
        fresh.verify(signed)


def test_only_so_many_good_tokens_are_remembered() -> None:
    fresh = Verifier(RemoteKeys(keys))
    for n in range(MOST_GOOD + 10):
        fresh.verify(token(jti=str(n)))
    assert len(fresh._good[1]) == 10


def test_a_new_key_is_asked_for_at_once_when_a_token_names_it() -> None:
    asked: list[int] = []
    new = OKPKey.generate_key("Ed25519", {"kid": "new"})

    def fetch() -> dict[str, Any]:
        asked.append(1)
        return keys() if len(asked) == 1 else {"keys": [new.as_dict(private=False)]}

    remote = RemoteKeys(fetch)
    remote.key_set()
    remote._at -= 31

    assert Verifier(remote).verify(token(new))
    assert len(asked) == 2


def test_wrong_tokens_do_not_make_us_ask_the_issuer_again_and_again() -> None:
    asked: list[int] = []

    def fetch() -> dict[str, Any]:
        asked.append(1)
        return keys()

    ours = Verifier(RemoteKeys(fetch))

    for _ in range(20):
        with pytest.raises(InvalidToken):
            ours.verify(token(STRANGER))

    assert len(asked) == 1


def test_keys_that_are_known_outlive_an_issuer_that_is_away() -> None:
    answers: list[Any] = [keys()]
    remote = RemoteKeys(lambda: answers.pop(0))
    remote.key_set()
    remote._at -= 1000

    assert Verifier(remote).verify(token())


@pytest.mark.parametrize(
    "answer", [{}, {"code": "service_unavailable"}, {"keys": "no"}, ValueError("not json")], ids=str
)
def test_without_any_keys_nobody_is_let_in_and_nobody_is_called_a_stranger(answer: Any) -> None:
    def fetch() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(Unavailable):
        Verifier(RemoteKeys(fetch)).verify(token())


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc", "bearertoken"])
def test_only_a_bearer_header_carries_a_token(header: str) -> None:
    with pytest.raises(InvalidToken):
        bearer(header)


def test_the_scheme_is_read_in_any_case() -> None:
    assert bearer("bEaReR  abc ") == "abc"
