"""Login As and Remote Support: modes, durations, limits, and why a session ends."""

from dataclasses import dataclass
from datetime import timedelta

from chassis.auth import masking

LOGIN_AS, REMOTE_SUPPORT = "login_as", "remote_support"

# Customers see no more of the staff member than this name and id.
SUPPORT = "Support"
SUPPORT_ID = "support"
# The subject of a Remote Support token: this prefix and the id of the grant.
SUPPORT_SUBJECT_PREFIX = "support:"

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
LOGIN_AS_DURATION = timedelta(minutes=30)
LOGIN_AS_PER_HOUR, LOGIN_AS_PER_DAY = 10, 30
SUPPORT_SESSION_DURATION = timedelta(minutes=60)
SUPPORT_TIME_PER_DAY = timedelta(hours=8)

REQUEST_VALID_FOR = timedelta(hours=72)
EXPIRY_WARNING = timedelta(hours=24)
WARN_IF_LONGER_THAN_MINUTES = 2 * 24 * 60
MAX_REASON = 500
MIN_NAME_PART = 3  # shorter parts of names are common words
MAX_GRANT_MINUTES, DEFAULT_GRANT_MINUTES = 43_200, 1_440

STOPPED, EXPIRED, STAFF_SESSION_ENDED = "stopped", "expired", "staff_session_ended"
MEMBER_CHANGED, ORGANIZATION_CHANGED = "member_changed", "organization_changed"
BY_CUSTOMER, BY_PROVIDER = "revoked_by_customer", "forced_by_provider"


@dataclass(frozen=True, kw_only=True)
class Staff:
    """A staff member of the provider, as their own access token describes them."""

    identity_id: str
    organization_id: str
    session_id: str
    role: str
    name: str

    def masks(self, text: str, *, email: str | None) -> str:
        """A text for customers without what tells who this is: the name and its parts, the address
        and the ids."""
        names = (self.name, email, self.identity_id, self.session_id)
        parts = [part for part in self.name.split() if len(part) >= MIN_NAME_PART]
        masked = masking.without_names(text, names, instead=SUPPORT, exact=parts)
        return str(masked)[:MAX_REASON]

    def act(self) -> dict[str, str]:
        """Their description in audit records, hidden from customers."""
        return {
            "sub": self.identity_id,
            "org": self.organization_id,
            "sid": self.session_id,
            "name": self.name,
        }
