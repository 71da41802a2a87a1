"""Verification of access tokens: signature, algorithm, audience, lifetime and the shape of every
claim."""

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
from chassis.auth.bearer import InvalidToken
from chassis.auth.permissions import KEY
from chassis.errors import Unavailable
from chassis.runtime import clock, ids

AUDIENCE = "clientele"
ALGORITHM = "Ed25519"
LEEWAY = 30  # seconds
MAX_TOKEN_LENGTH = 4096
MAX_LIFETIME = 3600  # seconds
MAX_CACHED_TOKENS = 4000
KEYS_MAX_AGE = 300  # seconds
KEYS_MIN_AGE = 30  # seconds

_REQUIRED_TEXTS = ("sub", "org", "kind", "role", "sid")
_OPTIONAL = {"name": str, "scope": str, "mid": str, "missing": str, "must_prove": bool}


class KeysUnavailable(Unavailable):
    code = "service_unavailable"
    detail = "Signing keys are temporarily unavailable. Try again in a moment."


class Keys(Protocol):
    """The source of the issuer's public keys."""

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The current keys. ``fresh``: fetch them again, unless that was just done."""
        ...


@dataclass
class RemoteKeys:
    """The issuer's JWKS, fetched when needed and cached for five minutes; for an unknown key it is
    fetched again, at most every 30 seconds."""

    fetch: Callable[[], dict[str, Any]]
    _keys: KeySet | None = None
    _at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The current keys. Raises KeysUnavailable if none are cached and none can be fetched."""
        with self._lock:
            age = time.monotonic() - self._at
            if self._keys is not None and age <= (KEYS_MIN_AGE if fresh else KEYS_MAX_AGE):
                return self._keys
            try:
                self._keys = KeySet.import_key_set(self.fetch())  # type: ignore[arg-type]
            except Exception as problem:
                if self._keys is None:
                    raise KeysUnavailable(retry_after=1) from problem
            self._at = time.monotonic()
            return self._keys


@dataclass(frozen=True)
class _Token:
    header: dict[str, Any]
    claims: dict[str, Any]


class Verifier:
    """Checks access tokens: one algorithm, our key and audience, within their lifetime, no repeated
    member, and nothing in the header but what we put there.

    A valid signature is cached as long as the keys are the same; everything else is checked for
    every request."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._verified: tuple[KeySet | None, dict[str, _Token]] = (None, {})

    def verify(self, token: str) -> dict[str, Any]:
        """The claims. Raises InvalidToken."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken()
        for fresh in (False, True):
            try:
                decoded = self._decode(token, self.keys.key_set(fresh=fresh))
                _check_header(decoded.header)
                _check_claims(decoded.claims, clock.now().timestamp())
                return decoded.claims
            except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
        raise InvalidToken()

    def _decode(self, token: str, keys: KeySet) -> _Token:
        verified_keys, verified = self._verified
        if verified_keys is not keys or len(verified) >= MAX_CACHED_TOKENS:
            verified = {}
            self._verified = (keys, verified)
        if token not in verified:
            jws.deserialize_compact(token, keys, algorithms=[ALGORITHM])
            header, claims, _ = token.split(".")
            verified[token] = _Token(_read(header), _read(claims))
        return verified[token]


def _read(part: str) -> Any:
    """The JSON in a part of a token."""
    return strict_json.loads(urlsafe_b64decode(part.encode()).decode())


def _check_header(header: Mapping[str, Any]) -> None:
    if header.keys() != {"alg", "typ", "kid"} or header["typ"] != "at+jwt":
        raise ValueError


def _check_claims(claims: Mapping[str, Any], now: float) -> None:
    """Raise ValueError, TypeError or KeyError for claims that our issuer never sets."""
    is_valid = (
        claims["iss"] == AUDIENCE
        and claims["aud"] == AUDIENCE
        and _are_times_valid(claims, now)
        and all(isinstance(claims[name], str) and claims[name] for name in _REQUIRED_TEXTS)
        and all(isinstance(claims.get(name, kind()), kind) for name, kind in _OPTIONAL.items())
        and claims["kind"] in ("provider", "customer")
        and ids.is_id("org", claims["org"])
    )
    if not is_valid or ("act" in claims and not _is_act_valid(claims)):
        raise ValueError


def _are_times_valid(claims: Mapping[str, Any], now: float) -> bool:
    issued, not_before, expires = claims["iat"], claims["nbf"], claims["exp"]
    proved = claims.get("proved", 0)
    return (
        all(type(instant) in (int, float) for instant in (issued, not_before, expires, proved))
        and issued <= now + LEEWAY
        and not_before <= now + LEEWAY
        and now - LEEWAY < expires <= issued + MAX_LIFETIME
        and 0 <= proved <= now + LEEWAY
    )


def _is_act_valid(claims: Mapping[str, Any]) -> bool:
    """The person who acts is named and how they act is known. They do not act through another one,
    and not for an API key."""
    act = claims["act"]
    return (
        isinstance(act, dict)
        and "act" not in act
        and claims["role"] != KEY
        and all(isinstance(act.get(name), str) and act[name] for name in ("sub", "org", "sid"))
        and act.get("mode") in ("login_as", "remote_support")
        and act.get("access") in ("full", "read")
    )
