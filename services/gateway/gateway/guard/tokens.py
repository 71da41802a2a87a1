"""The token check: verified, and held against the revocations, each time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from chassis.auth.tokens import bearer
from chassis.errors import Unauthenticated

from gateway.guard.revocations import Revocations


class TokenRevoked(Unauthenticated):
    code = "token_revoked"
    detail = "The session has ended or the organization is closed. Sign in again."


class _Verifier(Protocol):
    def verify(self, token: str) -> dict[str, Any]: ...


class Guard:
    """Lets in whoever has a valid token that has not been revoked; fails closed while feeds are
    silent."""

    def __init__(
        self, verifier: _Verifier, revocations: Revocations, feeds: Sequence[Callable[[], None]]
    ) -> None:
        self._verifier, self._revocations, self._feeds = verifier, revocations, feeds

    def authenticate(self, header: str) -> Mapping[str, Any]:
        """The claims behind an Authorization header. Raises InvalidToken, TokenRevoked or
        Unavailable."""
        claims = self._verifier.verify(bearer(header))
        for check in self._feeds:
            check()
        if self._revocations.covers(claims):
            raise TokenRevoked()
        return claims
