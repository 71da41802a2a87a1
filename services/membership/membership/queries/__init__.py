"""What can be known."""

from membership.queries.links import Link, LinkSpent, NoSuchLink, link
from membership.queries.locking import locked
from membership.queries.logins import FEED_KEPT, Login, login, open_sessions, revocations
from membership.queries.organizations import NoSuchOrganization, organization, provider_of, settings_of
from membership.queries.people import (
    HERE,
    NoSuchMember,
    Place,
    counts,
    identity,
    identity_by_email,
    member,
    members,
    owner,
    places,
)

__all__ = [
    "FEED_KEPT",
    "HERE",
    "Link",
    "LinkSpent",
    "Login",
    "NoSuchLink",
    "NoSuchMember",
    "NoSuchOrganization",
    "Place",
    "counts",
    "identity",
    "identity_by_email",
    "link",
    "locked",
    "login",
    "member",
    "members",
    "open_sessions",
    "organization",
    "owner",
    "places",
    "provider_of",
    "revocations",
    "settings_of",
]
