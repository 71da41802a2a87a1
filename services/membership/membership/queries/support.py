"""Support grants, and the provider staff who are in customers' organizations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import ColumnElement, func, literal, null, select, union_all
from sqlalchemy.orm import Session

from membership.models import ActingSession, LoginSession, Member, Organization, SupportGrant
from membership.queries.locking import locked
from membership.values.support import LOGIN_AS, REMOTE_SUPPORT, SUPPORT, SUPPORT_SESSION_DURATION

MAX_SHOWN = 200


class NoSuchGrant(errors.NotFound):
    code = "not_found"
    detail = "There is no such grant or support session. Check the list again."


class ActiveSession(NamedTuple):
    """An acting session with its organization and, for Login As, the member acted as."""

    acting: ActingSession
    organization: Organization
    member: Member | None


def grant(session: Session, organization_id: str, grant_id: str, *, lock: str = "") -> SupportGrant:
    """Raises NoSuchGrant."""
    if not ids.is_id("grt", grant_id):
        raise NoSuchGrant()
    query = select(SupportGrant).where(
        SupportGrant.id == grant_id, SupportGrant.organization_id == organization_id
    )
    grant = session.scalars(locked(query, lock)).one_or_none()
    if grant is None:
        raise NoSuchGrant()
    return grant


def acting(
    session: Session, organization_id: str, acting_id: str, *, lock: str = ""
) -> ActingSession:
    """The acting session, ended or not. Raises NoSuchGrant."""
    if not ids.is_id("ses", acting_id):
        raise NoSuchGrant()
    query = select(ActingSession).where(
        ActingSession.id == acting_id, ActingSession.organization_id == organization_id
    )
    acting = session.scalars(locked(query, lock)).one_or_none()
    if acting is None:
        raise NoSuchGrant()
    return acting


def grants(organization_id: str) -> Any:
    """The list of an organization's grants, newest first."""
    return (
        select(SupportGrant)
        .where(SupportGrant.organization_id == organization_id)
        .order_by(SupportGrant.id.desc())
    )


def active_grants(provider_id: str, now: datetime) -> Any:
    """The list of a provider's active grants with their organizations, newest first."""
    return (
        select(SupportGrant, Organization)
        .join(Organization, Organization.id == SupportGrant.organization_id)
        .where(
            SupportGrant.provider_id == provider_id,
            SupportGrant.status == "active",
            SupportGrant.expires_at > now,
        )
        .order_by(SupportGrant.id.desc())
    )


def accessible_customers(session: Session, provider_id: str, now: datetime) -> Sequence[Any]:
    """The customers that staff may enter now, each once with its newest grant, newest first."""
    rows = session.execute(active_grants(provider_id, now).limit(MAX_SHOWN)).all()
    first = {row.Organization.id: row for row in reversed(rows)}
    return [row for row in rows if first[row.Organization.id] is row]


def best_grant(
    session: Session, organization_id: str, now: datetime, *, consented: bool = False
) -> SupportGrant | None:
    """The grant to enter by when the request names none: the one with the widest access, and of
    those the one that lasts longest. ``consented``: only one that the customer consented to."""
    usable = [SupportGrant.status == "active", SupportGrant.expires_at > now]
    if consented:
        usable.append(SupportGrant.decided_by.is_not(None))
    return session.scalars(
        grants(organization_id)
        .where(*usable)
        .order_by(None)
        .order_by(SupportGrant.access, SupportGrant.expires_at.desc(), SupportGrant.id)
        .limit(1)
    ).one_or_none()


def pending_grant(session: Session, organization_id: str, now: datetime) -> SupportGrant | None:
    """The request that is waiting for consent."""
    return session.scalars(
        grants(organization_id)
        .where(SupportGrant.status == "pending", SupportGrant.expires_at > now)
        .limit(1)
    ).one_or_none()


def approvers(session: Session, organization_id: str) -> Sequence[Member]:
    """The members who may consent: the owner and the confirmed admins who can log in."""
    members = session.scalars(
        select(Member)
        .where(
            Member.organization_id == organization_id,
            Member.role.in_(("owner", "admin")),
            Member.status == "active",
            Member.verified.is_(True),
        )
        .order_by(Member.id)
    )
    return [member for member in members if member.confirmed]


def _active_sessions(
    session: Session, which: ColumnElement[bool], now: datetime
) -> list[ActiveSession]:
    rows = session.execute(
        select(ActingSession, Organization, Member)
        .join(Organization, Organization.id == ActingSession.organization_id)
        .outerjoin(Member, Member.id == ActingSession.member_id)
        .where(which, ActingSession.ended_at.is_(None), ActingSession.expires_at > now)
        .order_by(ActingSession.id.desc())
        .limit(MAX_SHOWN)
    )
    return [ActiveSession(*row) for row in rows]


def active_sessions_in(
    session: Session, organization_id: str, now: datetime
) -> list[ActiveSession]:
    """The provider staff who are in this organization now, newest first."""
    return _active_sessions(session, ActingSession.organization_id == organization_id, now)


def active_sessions_of(session: Session, provider_id: str, now: datetime) -> list[ActiveSession]:
    """The staff of this provider who are in any customer's organization now, newest first."""
    return _active_sessions(session, ActingSession.provider_id == provider_id, now)


def login_as_starts(
    session: Session, staff_identity_id: str, since: datetime
) -> Sequence[datetime]:
    """When a staff member began Login As sessions since then, oldest first."""
    return session.scalars(
        select(ActingSession.started_at)
        .where(
            ActingSession.staff_identity_id == staff_identity_id,
            ActingSession.started_at > since,
            ActingSession.mode == LOGIN_AS,
        )
        .order_by(ActingSession.started_at)
    ).all()


def support_times(
    session: Session, staff_identity_id: str, organization_id: str, since: datetime
) -> list[tuple[datetime, datetime]]:
    """The start and end of a staff member's Remote Support sessions in an organization since
    then, oldest first."""
    rows = session.execute(
        select(
            ActingSession.started_at,
            func.coalesce(ActingSession.ended_at, ActingSession.expires_at),
        )
        .where(
            ActingSession.staff_identity_id == staff_identity_id,
            ActingSession.started_at > since - SUPPORT_SESSION_DURATION,
            ActingSession.organization_id == organization_id,
            ActingSession.mode == REMOTE_SUPPORT,
        )
        .order_by(ActingSession.started_at)
    )
    return [(max(start, since), end) for start, end in rows if end > since]


def sessions_of(identity_id: str, now: datetime) -> Any:
    """The list of a person's sessions with their organizations, newest first. Sessions of staff who
    act as this person are included and shown as support."""
    logins = select(
        LoginSession.id,
        LoginSession.organization_id,
        LoginSession.user_agent,
        LoginSession.client_address,
        LoginSession.created_at,
        LoginSession.last_used_at,
        LoginSession.expires_at,
    ).where(
        LoginSession.identity_id == identity_id,
        LoginSession.ended_at.is_(None),
        LoginSession.idle_at > now,
    )
    acted = (
        select(
            ActingSession.id,
            ActingSession.organization_id,
            literal(SUPPORT),
            null().label("client_address"),
            ActingSession.started_at,
            ActingSession.started_at,
            ActingSession.expires_at,
        )
        .join(Member, Member.id == ActingSession.member_id)
        .where(
            Member.identity_id == identity_id,
            ActingSession.ended_at.is_(None),
            ActingSession.expires_at > now,
        )
    )
    both = union_all(logins, acted).subquery()
    return (
        select(both, Organization)
        .join(Organization, Organization.id == both.c.organization_id)
        .order_by(both.c.id.desc())
    )
