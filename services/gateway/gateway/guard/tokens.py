"""The token check: verified once, remembered until it ends, held against the revocations each time."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from chassis.caller import InvalidToken
from chassis.errors import Unauthenticated

from gateway.guard.revocations import Revocations

_BEARER = re.compile(r"Bearer +([A-Za-z0-9_.-]{1,4096})", re.IGNORECASE)


class TokenRevoked(Unauthenticated):
    """The session has ended or the organization is closed. Sign in again."""


class _Verifier(Protocol):
    def verify(self, token: str) -> dict[str, Any]: ...


class Guard:
    """Lets in whoever has a valid token that has not been revoked; fails closed while feeds are silent."""

    def __init__(
        self, verifier: _Verifier, revocations: Revocations, feeds: Sequence[Callable[[], None]], *,
        clock: Callable[[], float] = time.time, size: int = 10_000,
    ) -> None:
        self._verifier, self._revocations, self._feeds = verifier, revocations, feeds
        self._clock, self._size = clock, size
        self._known: dict[bytes, tuple[float, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def authenticate(self, header: str) -> Mapping[str, Any]:
        """The claims behind an Authorization header. Raises InvalidToken, TokenRevoked or Unavailable."""
        found = _BEARER.fullmatch(header)
        if not found:
            raise InvalidToken()
        claims = self._verified(found[1])
        for check in self._feeds:
            check()
        if self._revocations.covers(claims):
            raise TokenRevoked()
        return claims

    def _verified(self, token: str) -> Mapping[str, Any]:
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known and known[0] > self._clock():
            return known[1]
        claims = self._verifier.verify(token)
        if claims["exp"] > self._clock():
            self._remember(digest, claims)
        return claims

    def _remember(self, digest: bytes, claims: Mapping[str, Any]) -> None:
        with self._lock:
            if len(self._known) >= self._size:
                now = self._clock()
                self._known = {at: row for at, row in self._known.items() if row[0] > now}
            while len(self._known) >= self._size:
                self._known.pop(next(iter(self._known)))
            self._known[digest] = (claims["exp"], claims)
