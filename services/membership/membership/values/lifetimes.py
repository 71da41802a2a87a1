"""How long things live."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

ACCESS = timedelta(seconds=300)
PROOF = timedelta(seconds=300)  # for so long it counts that somebody has proved who they are
INVITATION, VERIFICATION, RESET, UNDO = "invitation", "verification", "reset", "undo"
PROOFS = (INVITATION, VERIFICATION)  # the links by which an address is proved
MAILED = {
    INVITATION: timedelta(days=7),
    VERIFICATION: timedelta(hours=24),
    RESET: timedelta(minutes=30),
    UNDO: timedelta(days=7),
}


@dataclass(frozen=True)
class SessionLimits:
    """``idle`` and ``total``: by the kind of the organization; ``at_most``: sessions of one identity that are kept
    when they rest."""

    idle: dict[str, timedelta]
    total: dict[str, timedelta]
    at_most: int

    @classmethod
    def of(cls, settings: Any) -> Self:
        """As the service is set."""
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
        """When a session used now ends if it is left alone."""
        return min(now + self.idle[kind], expires_at)
