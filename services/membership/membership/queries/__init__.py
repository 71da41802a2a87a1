"""What can be known."""

from membership.queries.deletion_warnings import warnings
from membership.queries.invitations import Invitation, invitation, invitation_of
from membership.queries.keys import KeyInUse, NoSuchKey, api_key, api_keys, key_count, key_in_use
from membership.queries.links import Link, LinkSpent, NoSuchLink, link, mailed_token, role_then
from membership.queries.locking import locked
from membership.queries.logins import (
    FEED_KEPT,
    Demands,
    Login,
    demands,
    failures_key,
    login,
    rest,
    revocations,
)
from membership.queries.one_time_codes import has_codes, provider_demands_codes, totp
from membership.queries.organizations import (
    NoSuchOrganization,
    organization,
    provider_of,
    settings_of,
)
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
    place,
    places,
    works_for,
)
from membership.queries.pins import KeptPin, kept_pin
from membership.queries.support import sessions_of
from membership.queries.transfers import (
    Handover,
    NoSuchTransfer,
    due_offer,
    last_change_of_owner,
    offer,
    owner_and,
    transfer,
    transfers,
)

__all__ = [
    "FEED_KEPT",
    "HERE",
    "Demands",
    "Handover",
    "Invitation",
    "KeptPin",
    "KeyInUse",
    "Link",
    "LinkSpent",
    "Login",
    "NoSuchKey",
    "NoSuchLink",
    "NoSuchMember",
    "NoSuchOrganization",
    "NoSuchTransfer",
    "Place",
    "api_key",
    "api_keys",
    "counts",
    "demands",
    "due_offer",
    "failures_key",
    "has_codes",
    "identity",
    "identity_by_email",
    "invitation",
    "invitation_of",
    "kept_pin",
    "key_count",
    "key_in_use",
    "last_change_of_owner",
    "link",
    "locked",
    "login",
    "mailed_token",
    "member",
    "members",
    "offer",
    "organization",
    "owner",
    "owner_and",
    "place",
    "places",
    "provider_demands_codes",
    "provider_of",
    "rest",
    "revocations",
    "role_then",
    "sessions_of",
    "settings_of",
    "totp",
    "transfer",
    "transfers",
    "warnings",
    "works_for",
]
