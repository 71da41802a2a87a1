"""How staff step in: in which way, for how long, and why it ends."""

from dataclasses import dataclass
from datetime import timedelta

LOGIN_AS, REMOTE_SUPPORT = "login_as", "remote_support"
SUPPORT = "Support"  # all that a customer learns of who it was
SHOWN_AS = "support"
NOBODY = "support:"  # begins the principal of a stay that is nobody's, before the id of its grant

ACTING = timedelta(minutes=30)
INSIDE = timedelta(minutes=60)
INSIDE_A_DAY = timedelta(hours=8)
HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
STARTS_AN_HOUR, STARTS_A_DAY = 10, 30

REQUEST_OPEN = timedelta(hours=72)
WARN_BEFORE = timedelta(hours=24)
WARNED_OVER_MINUTES = 2 * 24 * 60
MOST_MINUTES, USUAL_MINUTES = 43_200, 1_440

STOPPED, EXPIRED, STAFF_SESSION_ENDED = "stopped", "expired", "staff_session_ended"
MEMBER_CHANGED, ORGANIZATION_CHANGED = "member_changed", "organization_changed"
BY_CUSTOMER, BY_PROVIDER = "revoked_by_customer", "forced_by_provider"


@dataclass(frozen=True, kw_only=True)
class Staff:
    """Who of the provider steps in, as their own access token says."""

    identity_id: str
    organization_id: str
    session_id: str
    role: str
    name: str

    def act(self) -> dict[str, str]:
        """How audit rows name them to those who may know."""
        return {
            "sub": self.identity_id,
            "org": self.organization_id,
            "sid": self.session_id,
            "name": self.name,
        }
