"""What a member who leaves has begun."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from membership.models import ActingSession, ApiKey, LoginSession, Member, SupportGrant


class LeftBehind(NamedTuple):
    """How many valid API keys of the organization the member has created, how many support grants
    they have requested that are pending or active, and in how many sessions they are, support
    sessions at customers included."""

    keys: int
    grants: int
    sessions: int


def left_behind(session: Session, member: Member, now: datetime) -> LeftBehind:
    """What the member would leave behind now."""
    keys = select(func.count(ApiKey.id)).where(
        ApiKey.organization_id == member.organization_id,
        ApiKey.created_by == member.identity_id,
        ApiKey.deleted_at.is_(None),
        ApiKey.suspended_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
    )
    grants = select(func.count(SupportGrant.id)).where(
        SupportGrant.provider_id == member.organization_id,
        SupportGrant.requested_by == member.identity_id,
        SupportGrant.status.in_(("pending", "active")),
        SupportGrant.expires_at > now,
    )
    logins = select(func.count(LoginSession.id)).where(
        LoginSession.member_id == member.id,
        LoginSession.ended_at.is_(None),
        LoginSession.idle_at > now,
    )
    acting = select(func.count(ActingSession.id)).where(
        ActingSession.staff_identity_id == member.identity_id,
        ActingSession.staff_member_id == member.id,
        ActingSession.ended_at.is_(None),
        ActingSession.expires_at > now,
    )
    counts = (keys, grants, logins, acting)
    row = session.execute(select(*(count.scalar_subquery() for count in counts))).one()
    return LeftBehind(row[0], row[1], row[2] + row[3])
