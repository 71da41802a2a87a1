"""Queries."""

from membership.queries.attempts import failures_key, seconds_blocked, seconds_until_allowed
from membership.queries.deletion_warnings import deletion_warnings
from membership.queries.invitations import Invitation, invitation, invitation_of
from membership.queries.keys import (
    KeyWithOrganization,
    NoSuchKey,
    api_key,
    api_keys,
    key_by_secret,
    key_count,
)
from membership.queries.links import Link, LinkSpent, NoSuchLink, link, mailed_token, role_at_change
from membership.queries.locking import locked
from membership.queries.logins import (
    FEED_RETENTION,
    Login,
    Requirements,
    login,
    requirements,
    revocations,
)
from membership.queries.one_time_codes import has_one_time_codes, provider_requires_codes, totp
from membership.queries.organizations import (
    NoSuchOrganization,
    has_provider,
    organization,
    provider_of,
    settings_of,
)
from membership.queries.people import (
    CURRENT_STATUSES,
    Membership,
    NoSuchMember,
    counts,
    identity,
    identity_by_email,
    is_staff_of,
    member,
    members,
    membership,
    membership_in,
    memberships,
    owner,
)
from membership.queries.pins import KeptPin, kept_pin
from membership.queries.support import sessions_of
from membership.queries.transfers import (
    NoSuchTransfer,
    TransferWithMembers,
    due_offer,
    last_completed_transfer,
    lock_owner_and_member,
    offer,
    transfer,
    transfers,
)

__all__ = [
    "CURRENT_STATUSES",
    "FEED_RETENTION",
    "Invitation",
    "KeptPin",
    "KeyWithOrganization",
    "Link",
    "LinkSpent",
    "Login",
    "Membership",
    "NoSuchKey",
    "NoSuchLink",
    "NoSuchMember",
    "NoSuchOrganization",
    "NoSuchTransfer",
    "Requirements",
    "TransferWithMembers",
    "api_key",
    "api_keys",
    "counts",
    "deletion_warnings",
    "due_offer",
    "failures_key",
    "has_one_time_codes",
    "has_provider",
    "identity",
    "identity_by_email",
    "invitation",
    "invitation_of",
    "is_staff_of",
    "kept_pin",
    "key_by_secret",
    "key_count",
    "last_completed_transfer",
    "link",
    "lock_owner_and_member",
    "locked",
    "login",
    "mailed_token",
    "member",
    "members",
    "membership",
    "membership_in",
    "memberships",
    "offer",
    "organization",
    "owner",
    "provider_of",
    "provider_requires_codes",
    "requirements",
    "revocations",
    "role_at_change",
    "seconds_blocked",
    "seconds_until_allowed",
    "sessions_of",
    "settings_of",
    "totp",
    "transfer",
    "transfers",
]
