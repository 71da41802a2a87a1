"""How somebody's invitation stands."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from membership.models import Mail, MailedToken, Member
from membership.values.lifetimes import PROOFS

# To be joined to members: the link that an invited one holds, and whether one is on its way.
LINK_HELD = and_(
    MailedToken.member_id == Member.id,
    MailedToken.purpose.in_(PROOFS),
    MailedToken.used_at.is_(None),
    MailedToken.superseded_at.is_(None),
    Member.status == "pending",
)
LINK_COMES = exists().where(
    Mail.member_id == Member.id, Mail.purpose.in_(PROOFS), Mail.state == "queued"
)


class Invitation(NamedTuple):
    """How somebody's invitation stands. ``sent_at``: None while its mail is on its way;
    ``expired``: they hold no link that is good, and none is on its way."""

    sent_at: datetime | None
    expires_at: datetime | None
    expired: bool


def invitation(session: Session, member: Member, now: datetime) -> Invitation | None:
    """How the member's invitation stands; None for those who are not invited or have joined."""
    query = select(MailedToken, LINK_COMES).select_from(Member).outerjoin(MailedToken, LINK_HELD)
    token, comes = session.execute(query.where(Member.id == member.id)).one()
    return invitation_of(member, token, comes, now)


def invitation_of(
    member: Member, token: MailedToken | None, comes: bool, now: datetime
) -> Invitation | None:
    """The same, of what the database has told."""
    if member.status != "pending":
        return None
    if token is None:
        return Invitation(None if comes else member.invited_at, None, not comes)
    return Invitation(token.created_at, token.expires_at, token.expires_at <= now and not comes)
