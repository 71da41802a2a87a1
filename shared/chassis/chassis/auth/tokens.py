"""Verification of access tokens: our key, our algorithm, our audience, and no claim we did not put there."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.util import urlsafe_b64decode

from chassis import strict_json
from chassis.auth.permissions import KEY
from chassis.errors import Unauthenticated, Unavailable
from chassis.runtime import clock, ids

AUDIENCE = "clientele"


ALGORITHM = "Ed25519"


LEEWAY = 30


LONGEST = 4096


LASTS = 3600  # seconds that a token may be good for


MOST_GOOD = 4000


_BEARER = re.compile(r"Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)


_WORDS = ("sub", "org", "kind", "role", "sid")


_AS_THEY_ARE = {"name": str, "scope": str, "mid": str, "missing": str, "must_prove": bool}


class InvalidToken(Unauthenticated):
    code = "invalid_token"
    detail = "The access token is missing, expired or not valid. Sign in again."


class Keys(Protocol):
    """Where the public keys of the issuer come from."""

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The current keys; ``fresh``: ask the issuer again, but not too often."""
        ...


@dataclass
class RemoteKeys:
    """The issuer's JWKS, fetched at need, kept five minutes, asked again for an unknown key at most
    every 30 s."""

    fetch: Callable[[], dict[str, Any]]
    _keys: KeySet | None = None
    _at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The current keys. Raises Unavailable when the issuer can't be asked and none are
        known."""
        with self._lock:
            age = time.monotonic() - self._at
            if self._keys is None or age > 300 or (fresh and age > 30):
                try:
                    self._keys = KeySet.import_key_set(self.fetch())  # type: ignore[arg-type]
                except Exception as problem:
                    if self._keys is None:
                        raise Unavailable(
                            "The issuer's keys can't be had just now. Try again.",
                            code="service_unavailable",
                            retry_after=1,
                        ) from problem
                self._at = time.monotonic()
            return self._keys


@dataclass(frozen=True)
class _Token:
    header: dict[str, Any]
    claims: dict[str, Any]


class Verifier:
    """Checks access tokens: our key, our one algorithm, our audience, in its time, nothing said
    twice, and nothing in the header that we did not put there.

    A signature that was found good once needs no second look as long as the keys are the same; the
    rest does."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._good: tuple[KeySet | None, dict[str, _Token]] = (None, {})

    def verify(self, token: str) -> dict[str, Any]:
        """The claims. Raises InvalidToken."""
        if len(token) > LONGEST:
            raise InvalidToken()
        for fresh in (False, True):
            try:
                decoded = self._decode(token, self.keys.key_set(fresh=fresh))
                _check_header(decoded.header)
                _check(decoded.claims, clock.now().timestamp())
                return decoded.claims
            except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
        raise InvalidToken()

    def _decode(self, token: str, keys: KeySet) -> _Token:
        under, good = self._good
        if under is not keys or len(good) >= MOST_GOOD:
            good = {}
            self._good = (keys, good)
        if token not in good:
            jws.deserialize_compact(token, keys, algorithms=[ALGORITHM])
            header, claims, _ = token.split(".")
            good[token] = _Token(_read(header), _read(claims))
        return good[token]


def _read(part: str) -> Any:
    """The JSON in a part of a token, which may be read in one way only."""
    return strict_json.loads(urlsafe_b64decode(part.encode()).decode())


def _check_header(header: Mapping[str, Any]) -> None:
    if header.keys() != {"alg", "typ", "kid"} or header["typ"] != "at+jwt":
        raise ValueError


def _check(claims: Mapping[str, Any], now: float) -> None:
    issued, begins, ends = (claims[name] for name in ("iat", "nbf", "exp"))
    sound = (
        claims["iss"] == AUDIENCE
        and claims["aud"] == AUDIENCE
        and all(
            type(time) in (int, float) for time in (issued, begins, ends, claims.get("proved", 0))
        )
        and issued <= now + LEEWAY
        and begins <= now + LEEWAY
        and now - LEEWAY < ends <= issued + LASTS
        and 0 <= claims.get("proved", 0) <= now + LEEWAY
        and all(isinstance(claims[name], str) and claims[name] for name in _WORDS)
        and all(isinstance(claims.get(name, kind()), kind) for name, kind in _AS_THEY_ARE.items())
        and claims["kind"] in ("provider", "customer")
        and ids.is_id("org", claims["org"])
    )
    if not sound or ("act" in claims and not _is_act(claims)):
        raise ValueError


def _is_act(claims: Mapping[str, Any]) -> bool:
    """Nobody acts through somebody who acts, no API key does, and whoever acts is named, and
    how."""
    act = claims["act"]
    return (
        isinstance(act, dict)
        and "act" not in act
        and claims["role"] != KEY
        and all(isinstance(act.get(name), str) and act[name] for name in ("sub", "org", "sid"))
        and act.get("mode") in ("login_as", "remote_support")
        and act.get("access") in ("full", "read")
    )


def bearer(header: str) -> str:
    """The token in an Authorization header. Raises InvalidToken."""
    found = _BEARER.fullmatch(header)
    if not found:
        raise InvalidToken()
    return found[1]
