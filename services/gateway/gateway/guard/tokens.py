"""The token check: signature and claims, then the revocations, on every request."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from chassis.auth.bearer import bearer
from chassis.errors import Unauthenticated

from gateway.guard.revocations import Revocations


class TokenRevoked(Unauthenticated):
    code = "token_revoked"
    detail = "The session has ended or the organization is closed. Sign in again."


class _Verifier(Protocol):
    def verify(self, token: str) -> dict[str, Any]: ...


class _Feed(Protocol):
    def ask(self) -> None: ...

    def check_current(self) -> None: ...


class Guard:
    """Accepts valid tokens that have not been revoked. Accepts none while a revocation feed is
    stale."""

    def __init__(
        self,
        verifier: _Verifier,
        revocations: Revocations,
        feeds: Sequence[_Feed],
    ) -> None:
        self._verifier, self._revocations = verifier, revocations
        self._feeds = feeds

    def authenticate(self, header: str) -> Mapping[str, Any]:
        """The claims of the token in an Authorization header. Raises InvalidToken, TokenRevoked or
        Unavailable."""
        claims = self._verifier.verify(bearer(header))
        for feed in self._feeds:
            feed.ask()
        for feed in self._feeds:
            feed.check_current()
        if self._revocations.covers(claims):
            raise TokenRevoked()
        return claims
