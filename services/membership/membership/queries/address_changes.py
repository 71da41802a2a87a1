"""What is known of a change of address that is pending or can be undone."""

from datetime import datetime
from typing import NamedTuple

from chassis.runtime import ids
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import ApiKey, Mail, MailedToken, Member, Organization
from membership.queries.keys import members_by_identity
from membership.values import roles
from membership.values.authority import BY_PROVIDER

# The scope by which a role changes the addresses of members, by kind of organization.
_CHANGES = {"customer": "members:edit", "provider": "member:manage"}


class Change(NamedTuple):
    """What is known of a change of address: the role of the member's token then, who counts as
    having admitted them (before it, for an undo link; after it, for a link that proves the
    address), and who made it."""

    role: str
    admitted_by: str
    made_by: str


def change_of(session: Session, token: MailedToken) -> Change:
    """The change that this link proves or undoes."""
    sent = (
        Mail.email == token.email,
        Mail.purpose == token.purpose,
        Mail.created_at == token.created_at,
        Mail.member_id.is_not_distinct_from(token.member_id),
    )
    newest = select(Mail.details).where(*sent).order_by(Mail.id.desc()).limit(1)
    details = session.scalars(newest).one() or {}
    return Change(
        str(details.get("role", "")),
        str(details.get("admitted_by", BY_PROVIDER)),
        str(details.get("by", "")),
    )


def may_still_change(session: Session, member: Member, made_by: str, *, now: datetime) -> bool:
    """Whether the person or API key that requested another address for the member could still do
    so. Who made a change before this was noted is not known, and counts as still there."""
    if ids.is_id("key", made_by):
        key = session.get(ApiKey, made_by)
        return key is not None and key.deleted_at is None and key.status(now) == "active"
    if not made_by:
        return True
    organization = session.get_one(Organization, member.organization_id)
    places = {organization.id: organization.kind, organization.provider_id: "provider"}
    return any(
        _can_change(kind, members_by_identity(session, place, {made_by}).get(made_by), member)
        for place, kind in places.items()
    )


def _can_change(kind: str, maker: Member | None, member: Member) -> bool:
    if maker is None or maker.status != "active":
        return False
    role = roles.in_token(kind, maker.role, maker.preset)
    reaches = member.role == "member" or role in ("owner", "manager")
    return reaches and _CHANGES[kind] in roles.scopes(kind, role)
