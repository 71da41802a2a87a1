"""What crosses the door."""

from membership.schemas.inner import FeedQuery, RevocationEntry, RevocationFeed
from membership.schemas.links import Accepted, LinkInfo, ResetBody, ResetDone, ResetRequest, VerificationBody, Verified
from membership.schemas.me import Me, MyOrganization, MyOrganizations
from membership.schemas.members import (
    Member,
    MemberFields,
    MemberPage,
    MemberPatch,
    MemberQuery,
    MemberWithPin,
    NewMember,
    check_access,
)
from membership.schemas.pieces import Address, IdentityInfo, LinkedOrganization, OrganizationInfo, secret
from membership.schemas.sessions import ExchangeBody, NewSession, RefreshBody, SessionInfo, SessionPage, SessionTokens

__all__ = [
    "Accepted",
    "Address",
    "ExchangeBody",
    "FeedQuery",
    "IdentityInfo",
    "LinkInfo",
    "LinkedOrganization",
    "Me",
    "Member",
    "MemberFields",
    "MemberPage",
    "MemberPatch",
    "MemberQuery",
    "MemberWithPin",
    "MyOrganization",
    "MyOrganizations",
    "NewMember",
    "NewSession",
    "OrganizationInfo",
    "RefreshBody",
    "ResetBody",
    "ResetDone",
    "ResetRequest",
    "RevocationEntry",
    "RevocationFeed",
    "SessionInfo",
    "SessionPage",
    "SessionTokens",
    "VerificationBody",
    "Verified",
    "check_access",
    "secret",
]
