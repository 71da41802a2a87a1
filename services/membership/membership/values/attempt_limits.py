"""The policy for failed attempts and for emails with links: how many, in which time, and how long
to wait.

Only failures count. Passwords are limited per client network with fixed limits, and per email
address with a delay that grows with each failure in a row. On a network, or in a browser, where
the person has signed in within 30 days, neither refuses the right password: failures for that
address are counted there on their own, with the same delays. One-time codes are limited per
person, PINs per extension and per organization. Refresh tokens, API keys and links have a limit
of their own per client network, which refuses none that is valid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Limit:
    """At most this many within this time; reaching the limit blocks for the same time."""

    maximum: int
    within: timedelta


# Limits by the key that the attempts are counted under.
Limits = Mapping[str, Limit]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# Failed passwords in a row for one address.
FREE_FAILURES = 4
LOCKED_AT = 100
MAX_BACKOFF = timedelta(seconds=900)
KNOWN_CLIENT_RETENTION = timedelta(days=30)

# Failed one-time codes in a row for one person.
CODES = Limit(5, timedelta(minutes=15))

# Failed PINs. After the last limit only a new PIN helps.
PINS_OF_EXTENSION = Limit(5, timedelta(minutes=15))
PINS_OF_ORGANIZATION = Limit(50, timedelta(minutes=10))
PIN_LONG_BLOCK_AT = 10
PIN_LONG_BLOCK = HOUR
PIN_LOCKED_AT = 20
PIN_RETENTION = timedelta(days=30)

# What a person may do successfully, because each costs a hash, a session or an audit row.
STEP_UPS = Limit(20, timedelta(minutes=5))
EXCHANGES = Limit(60, MINUTE)
NEW_SESSIONS = Limit(60, MINUTE)
REFRESHES = Limit(60, timedelta(minutes=10))  # of one session
KEYS = Limit(100, DAY)  # of one organization

# Emails with links.
LINK_PAUSE = MINUTE
LINKS_TO_MEMBER = Limit(6, DAY)
LINKS_TO_ADDRESS = Limit(10, DAY)
PROVIDERS_LINKS_TO_ADDRESS = Limit(100, DAY)
INVITATIONS_BY_ORGANIZATION = Limit(200, DAY)
INVITATIONS_PER_HOUR = 500  # where the provider has not chosen its invitations_per_hour
PASSWORD_RESETS = Limit(3, HOUR)
EMAIL_CHANGES = Limit(6, DAY)
RENEWAL_REQUESTS = Limit(1, DAY)
# Emails to a member about what somebody else does with their login.
LOGIN_NOTICES = Limit(5, HOUR)


def login_limits(network: bytes, *, in_5_minutes: int, in_an_hour: int) -> Limits:
    """The limits for failed passwords and codes from one network, for whatever address."""
    return {
        f"login 5m {network.hex()}": Limit(in_5_minutes, timedelta(minutes=5)),
        f"login 1h {network.hex()}": Limit(in_an_hour, HOUR),
    }


def secret_limits(kind: str, network: bytes) -> Limits:
    """The limits for invalid secrets of a kind (refresh, key, link) from one network."""
    return {f"{kind} 1m {network.hex()}": Limit(30, MINUTE)}


def password_reset_limits(key: bytes, network: bytes) -> Limits:
    """The limits for password resets requested without signing in: for one address (``key``, as for
    failed passwords), and from one network where the person is not known (else empty)."""
    limits = {f"reset for address 1h {key.hex()}": PASSWORD_RESETS}
    return limits | ({f"reset 1h {network.hex()}": Limit(10, HOUR)} if network else {})


def password_reset_limits_of_staff(key: bytes) -> Limits:
    """The limits for password resets requested by someone who may manage the member."""
    return {f"reset by staff 1h {key.hex()}": PASSWORD_RESETS}


def login_notices(purpose: str, member_id: str) -> Limits:
    """The limit for emails of this purpose to a member, at the request of someone else."""
    return {f"{purpose} 1h {member_id}": LOGIN_NOTICES}


def step_ups(identity_id: str) -> Limits:
    """The limit for a person's re-authentications, successful or not."""
    return {f"step-up {identity_id}": STEP_UPS}


def exchanges(identity_id: str) -> Limits:
    """The limit for switching to another organization."""
    return {f"exchange {identity_id}": EXCHANGES}


def email_changes(identity_id: str) -> Limits:
    """The limit for changes of one's own address."""
    return {f"email {identity_id}": EMAIL_CHANGES}


def new_keys(organization_id: str) -> Limits:
    """The limit for an organization's new API keys."""
    return {f"keys {organization_id}": KEYS}


def own_changes_to(key: bytes) -> Limits:
    """The limit for links to one address (``key``, as for failed passwords) by which people move
    their own logins to it."""
    return {f"own email {key.hex()}": LINKS_TO_ADDRESS}


def new_sessions(identity_id: str) -> Limits:
    """The limit for a person's new sessions."""
    return {f"session {identity_id}": NEW_SESSIONS}


def of_person(identity_id: str) -> Limits:
    """All that is counted for a person by their id."""
    return {
        **step_ups(identity_id),
        **exchanges(identity_id),
        **new_sessions(identity_id),
        **email_changes(identity_id),
    }


def pin_key(organization_id: str, extension: str = "") -> str:
    """The key for failed PINs of an extension, or of all extensions together."""
    return f"pin:{organization_id}:{extension}"


def backoff(failures: int) -> timedelta:
    """The delay after failures in a row: from the fifth 1, 2, 4 … 900 seconds."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - FREE_FAILURES - 1, 20)), MAX_BACKOFF)


def seconds_left(failures: int, last_at: datetime, now: datetime) -> int:
    """Whole seconds still to wait after failures in a row; 0 for none.

    A locked address never gets to 0: only a new password unlocks it."""
    if failures >= LOCKED_AT:
        return int(MAX_BACKOFF.total_seconds())
    if failures <= FREE_FAILURES:
        return 0
    return seconds_until(last_at + backoff(failures), now)


def seconds_until(then: datetime, now: datetime) -> int:
    """Whole seconds until then, rounded up; 0 once it is past."""
    return max(0, int(-(-(then - now).total_seconds() // 1)))
