"""How long tokens, links and sessions are valid."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

ACCESS_TOKEN = timedelta(seconds=300)
REFRESH_REPEATED = timedelta(seconds=10)  # how long a used refresh token gets the same answer
REAUTHENTICATION = timedelta(seconds=300)  # how long a re-authentication counts
INVITATION, VERIFICATION, RESET, UNDO = "invitation", "verification", "reset", "undo"
STOP_TRANSFER = "stop_transfer"
RESET_CODES = "reset_mfa"
ADDRESS_LINKS = (INVITATION, VERIFICATION)  # these verify an address
LINK_LIFETIMES = {
    INVITATION: timedelta(days=7),
    VERIFICATION: timedelta(hours=24),
    RESET: timedelta(minutes=30),
    UNDO: timedelta(days=7),
    STOP_TRANSFER: timedelta(hours=72),
    RESET_CODES: timedelta(hours=24),
}


@dataclass(frozen=True)
class SessionLimits:
    """How long sessions last, by kind of organization: ``idle`` without use, ``total`` at most.

    ``max_sessions``: how many unused sessions one identity keeps."""

    idle: dict[str, timedelta]
    total: dict[str, timedelta]
    max_sessions: int

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The limits from the service's settings."""
        idle = {
            "provider": settings.staff_session_idle_minutes,
            "customer": settings.customer_session_idle_minutes,
        }
        total = {
            "provider": settings.staff_session_minutes,
            "customer": settings.customer_session_minutes,
        }
        return cls(
            {kind: timedelta(minutes=minutes) for kind, minutes in idle.items()},
            {kind: timedelta(minutes=minutes) for kind, minutes in total.items()},
            settings.sessions_per_identity,
        )

    def idle_at(self, kind: str, now: datetime, expires_at: datetime) -> datetime:
        """When a session used now ends if it is not used again."""
        return min(now + self.idle[kind], expires_at)
