"""The status of invitations."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from membership.models import Mail, MailedToken, Member, Organization
from membership.queries.locking import locked
from membership.values.lifetimes import ADDRESS_LINKS, INVITATION

# To join to members: the current link of a pending member, and whether another is queued.
LINK_HELD = and_(
    MailedToken.member_id == Member.id,
    MailedToken.purpose.in_(ADDRESS_LINKS),
    MailedToken.used_at.is_(None),
    MailedToken.superseded_at.is_(None),
    Member.status == "pending",
)
LINK_QUEUED = exists().where(
    Mail.member_id == Member.id, Mail.purpose.in_(ADDRESS_LINKS), Mail.state == "queued"
)


class Invitation(NamedTuple):
    """The status of an invitation. ``sent_at``: None while the email is queued; ``expired``:
    there is no valid link and none is queued."""

    sent_at: datetime | None
    expires_at: datetime | None
    expired: bool


def invitation(session: Session, member: Member, now: datetime) -> Invitation | None:
    """The member's invitation; None for those who are not invited or have joined."""
    query = select(MailedToken, LINK_QUEUED).select_from(Member).outerjoin(MailedToken, LINK_HELD)
    token, queued = session.execute(query.where(Member.id == member.id)).one()
    return invitation_of(member, token, queued, now)


def invitation_of(
    member: Member, token: MailedToken | None, queued: bool, now: datetime
) -> Invitation | None:
    """The member's invitation from what a query returned: their current link, and whether another
    is queued."""
    if member.status != "pending":
        return None
    if token is None:
        sent_at = None if queued else member.invited_at
        return Invitation(sent_at, None, expired=not queued)
    expired = token.expires_at <= now and not queued
    return Invitation(token.created_at, token.expires_at, expired)


def waiting_owner_invitations(session: Session, provider_id: str, now: datetime) -> Sequence[Mail]:
    """The invitations of owners of a provider's new customers that are to be sent later, in that
    order, locked."""
    query = (
        select(Mail)
        .join(Member, Member.id == Mail.member_id)
        .join(Organization, Organization.id == Member.organization_id)
        .where(Mail.purpose == INVITATION, Mail.state == "queued", Mail.created_at > now)
        .where(Organization.provider_id == provider_id, Member.role == "owner")
        .order_by(Mail.created_at, Mail.id)
    )
    return session.scalars(locked(query, "change", of=Mail)).all()
