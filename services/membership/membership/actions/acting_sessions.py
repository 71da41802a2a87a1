"""Staff in a customer's place: they step in, and are out again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from chassis.messaging import outbox
from chassis.runtime import clock, ids
from contracts import membership as messages
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, revocations
from membership.models import (
    ActingSession,
    Identity,
    LoginSession,
    Member,
    Organization,
    SupportGrant,
)
from membership.queries import support as found
from membership.queries.support import Inside
from membership.values import roles
from membership.values.support import (
    ACTING,
    BY_PROVIDER,
    DAY,
    EXPIRED,
    HOUR,
    INSIDE,
    INSIDE_A_DAY,
    LOGIN_AS,
    MEMBER_CHANGED,
    ORGANIZATION_CHANGED,
    REMOTE_SUPPORT,
    STAFF_SESSION_ENDED,
    STARTS_A_DAY,
    STARTS_AN_HOUR,
    STOPPED,
    Staff,
)


class MemberNotEligible(errors.Conflict):
    code = "member_not_eligible"
    detail = (
        "It is not possible to log in as this member. Choose a verified, enabled member of the "
        "customer who has a login."
    )


class OrganizationNotActive(errors.Conflict):
    code = "organization_not_active"
    detail = "The organization is not active. Activate it first."


class AlreadyActing(errors.Conflict):
    code = "already_acting"
    detail = (
        "You are already in an organization. Leave it first: DELETE "
        "/v1/sessions/{acting_session_id}."
    )


class GrantNotActive(errors.Conflict):
    code = "grant_not_active"
    detail = (
        "This grant is not active. Request a new one: POST /v1/organizations/{id}/remote-support."
    )


class ManagedServiceOff(errors.Conflict):
    code = "managed_service_off"
    detail = (
        "Remote Support is switched off. Switch the managed service on in the provider's settings "
        "first."
    )


class TooManyStarts(errors.TooMany):
    code = "too_many_starts"
    detail = "You have logged in as members too often. Wait, or use Remote Support."


class SupportHoursSpent(errors.TooMany):
    code = "support_hours_spent"
    detail = (
        "You have been in this organization for 8 hours within a day. Come back later, or let a "
        "colleague continue."
    )


class StaffSessionEnded(errors.Unauthenticated):
    code = "token_revoked"
    detail = "Your own session has ended or your role has changed. Sign in again."


def log_in_as(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reason: str,
    staff: Staff,
    now: datetime,
) -> Inside:
    """Act as a member, for half an hour. The audit row stands before there is any token.

    Raises NoSuchMember, MemberNotEligible, OrganizationNotActive, AlreadyActing, TooManyStarts,
    StaffSessionEnded."""
    queries.member(session, organization_id, member_id)
    organization = _open_organization(session, organization_id)
    check_customer(
        organization,
        "This is one of your own people, not a customer's. Choose a customer's member.",
    )
    login = _lock_staff(session, staff, now, also=member_id)
    member = queries.member(session, organization_id, member_id)
    _check_eligible(member, staff)
    if member.identity_id and queries.works_for(
        session, member.identity_id, organization.provider_id
    ):
        raise MemberNotEligible(
            "This member works for you too. Nobody acts as a colleague: choose somebody else."
        )
    _check_often(session, staff, now)
    acting = ActingSession(
        mode=LOGIN_AS,
        access="full",
        reason=reason,
        member_id=member.id,
        expires_at=min(now + ACTING, login.expires_at),
    )
    return _begin(
        session, Inside(acting, organization, member), "member.login_as.started", staff, login, now
    )


def enter(
    session: Session,
    *,
    organization_id: str,
    grant_id: str | None,
    reason: str | None,
    staff: Staff,
    now: datetime,
) -> Inside:
    """Go in as nobody in particular, under a grant (None: the best one there is), for an hour at
    the most and eight a day.

    Raises NoSuchGrant, GrantNotActive, ManagedServiceOff, OrganizationNotActive, AlreadyActing,
    SupportHoursSpent, StaffSessionEnded."""
    if grant_id is not None:
        found.grant(session, organization_id, grant_id)
    organization = _open_organization(session, organization_id)
    check_managed(session, organization)
    best = None if grant_id else found.live_grant(session, organization_id, now)
    wanted = grant_id or (best.id if best else None)
    grant = found.grant(session, organization_id, wanted, lock="use") if wanted else None
    if grant is None or not grant.is_live(now):
        waits = grant is not None and grant.status == "pending" and grant.expires_at > now
        raise GrantNotActive("The customer has not consented yet. Wait for it." if waits else "")
    login = _lock_staff(session, staff, now)
    until = min(
        now + INSIDE,
        grant.expires_at,
        login.expires_at,
        _spent_at(session, staff, organization_id, now),
    )
    acting = ActingSession(
        mode=REMOTE_SUPPORT,
        access=grant.access,
        reason=reason or grant.reason,
        grant_id=grant.id,
        expires_at=until,
    )
    return _begin(session, Inside(acting, organization, None), "support.entered", staff, login, now)


def check_customer(organization: Organization, detail: str) -> None:
    """Raise MemberNotEligible with ``detail`` unless it is a customer's organization."""
    if organization.kind != "customer":
        raise MemberNotEligible(detail)


def check_managed(session: Session, organization: Organization) -> None:
    """Raise ManagedServiceOff unless the provider's setting is on; it stays so until the commit."""
    settings = queries.settings_of(session, organization.provider_id, lock="use")
    if settings is None or settings.settings.get("managed_service") is not True:
        raise ManagedServiceOff()


def end_acting(
    session: Session, *, acting: ActingSession, why: str, by: Actor, now: datetime
) -> None:
    """Somebody is out; over already: nothing."""
    _end(session, ActingSession.id == acting.id, why=why, by=by, now=now)


def end_under(session: Session, *, grant: SupportGrant, why: str, by: Actor, now: datetime) -> None:
    """A grant is over, and so is everybody's stay under it."""
    _end(session, ActingSession.grant_id == grant.id, why=why, by=by, now=now)


def end_own(
    session: Session, *, acting_id: str, identity_id: str, by: Actor, now: datetime
) -> bool:
    """Out goes who acts, asked by themselves or by whom they act as; whether there was such a
    session."""
    query = (
        select(ActingSession, Member.identity_id)
        .outerjoin(Member, Member.id == ActingSession.member_id)
        .where(
            ActingSession.id == acting_id,
            ActingSession.ended_at.is_(None),
            ActingSession.expires_at > now,
        )
    )
    row = session.execute(query).one_or_none()
    if row is None or identity_id not in (row[0].staff_identity_id, row[1]):
        return False
    why = STOPPED if row[0].staff_identity_id == identity_id else "revoked_by_customer"
    return _end(session, ActingSession.id == acting_id, why=why, by=by, now=now) > 0


def end_with(
    session: Session,
    *,
    logins: Sequence[str],
    member_id: str | None,
    organization_id: str | None,
    now: datetime,
) -> None:
    """What stands on these sessions of staff, on this member or in this organization ends with
    them."""
    if organization_id is not None:
        _end(
            session,
            ActingSession.organization_id == organization_id,
            why=ORGANIZATION_CHANGED,
            now=now,
        )
    elif logins:
        _end(session, ActingSession.staff_session_id.in_(logins), why=STAFF_SESSION_ENDED, now=now)
    if member_id is not None:
        _end(session, ActingSession.member_id == member_id, why=MEMBER_CHANGED, now=now)
        _end(session, ActingSession.staff_member_id == member_id, why=STAFF_SESSION_ENDED, now=now)


def end_with_role(session: Session, *, member_id: str, now: datetime) -> None:
    """A member is something else now: nobody acts as what they were, and they act for nobody by
    what they were."""
    _end(session, ActingSession.member_id == member_id, why=MEMBER_CHANGED, now=now)
    _end(session, ActingSession.staff_member_id == member_id, why=BY_PROVIDER, now=now)


def end_due(session: Session, *, now: datetime, limit: int = 100) -> int:
    """End what has run out; answers how many."""
    return _end(session, ActingSession.expires_at <= now, why=EXPIRED, now=now, limit=limit)


def _begin(
    session: Session, inside: Inside, action: str, staff: Staff, login: LoginSession, now: datetime
) -> Inside:
    acting, organization, member = inside
    acting.id, acting.started_at = ids.new("ses"), now
    acting.staff_identity_id, acting.staff_member_id = staff.identity_id, login.member_id
    acting.staff_name, acting.staff_session_id = staff.name, login.id
    acting.provider_id, acting.organization_id = organization.provider_id, organization.id
    session.add(acting)
    session.flush()
    _record(
        session,
        action,
        inside,
        by=audit_log.acting_actor(acting, member),
        now=now,
        reason=acting.reason,
    )
    return inside


def _end(
    session: Session,
    which: Any,
    *,
    why: str,
    now: datetime,
    by: Actor = SYSTEM,
    limit: int | None = None,
) -> int:
    query = (
        select(ActingSession)
        .where(which, ActingSession.ended_at.is_(None))
        .order_by(ActingSession.id)
        .limit(limit)
    )
    ended = session.scalars(
        query.with_for_update(skip_locked=limit is not None).execution_options(
            populate_existing=True
        )
    ).all()
    before = {acting.id: revocations.until(now, acting.started_at) for acting in ended}
    revocations.revoke(session, kind="session", before=before, now=now)
    for acting in ended:
        ran_out = acting.expires_at <= now
        acting.ended_at, acting.ended_why = min(now, acting.expires_at), EXPIRED if ran_out else why
        _tell_ended(session, acting, by=SYSTEM if ran_out else by, now=now)
    session.flush()
    return len(ended)


def _tell_ended(session: Session, acting: ActingSession, *, by: Actor, now: datetime) -> None:
    member = session.get(Member, acting.member_id) if acting.member_id else None
    inside = Inside(acting, queries.organization(session, acting.organization_id), member)
    action = "member.login_as.ended" if acting.mode == LOGIN_AS else "support.left"
    _record(session, action, inside, by=by, now=now, reason=acting.ended_why)
    outbox.publish(
        session,
        messages.ActingEnded(
            organization_id=acting.organization_id,
            acting_id=acting.id,
            mode=acting.mode,
            started_at=clock.stamp(acting.started_at),
            ended_at=clock.stamp(acting.ended_at or now),
            reason=acting.ended_why or "",
        ),
    )


def _record(
    session: Session, action: str, inside: Inside, *, by: Actor, now: datetime, reason: str | None
) -> None:
    acting, organization, member = inside
    change = {"field": "acting_session", "before": acting.id, "after": None}
    if acting.ended_at is None:
        change = {"field": "acting_session", "before": None, "after": acting.id}
    audit_log.record(
        session,
        action,
        organization=organization,
        member=member,
        by=by,
        now=now,
        reason=reason,
        changes=[change],
        target={"type": "support_grant", "id": acting.grant_id or "", "label": organization.name},
    )


def _open_organization(session: Session, organization_id: str) -> Organization:
    organization = queries.organization(session, organization_id, lock="use")
    if organization.state != "open":
        raise OrganizationNotActive()
    return organization


def _lock_staff(session: Session, staff: Staff, now: datetime, *, also: str = "") -> LoginSession:
    """The session of their own that all hangs on, alive and of the role their token says, one of them at a time;
    ``also``: a member to lock with them."""
    member_id = session.scalar(
        select(LoginSession.member_id).where(LoginSession.id == staff.session_id)
    )
    wanted = (
        select(Member).where(Member.id.in_([m for m in (member_id, also) if m])).order_by(Member.id)
    )
    people = session.scalars(
        wanted.with_for_update(read=True).execution_options(populate_existing=True)
    ).all()
    session.get_one(Identity, staff.identity_id, with_for_update=True, populate_existing=True)
    login = session.get(
        LoginSession, staff.session_id, with_for_update=True, populate_existing=True
    )
    own = [m for m in people if m.id == member_id and m.status == "active"]
    role = roles.in_token("provider", own[0].role, own[0].preset) if own else ""
    if login is None or login.ended_at is not None or login.expires_at <= now or role != staff.role:
        raise StaffSessionEnded()
    _check_alone(session, staff, now)
    return login


def _check_alone(session: Session, staff: Staff, now: datetime) -> None:
    mine = ActingSession.staff_identity_id == staff.identity_id
    _end(session, mine & (ActingSession.expires_at <= now), why=EXPIRED, now=now)
    other = session.scalar(select(ActingSession.id).where(mine, ActingSession.ended_at.is_(None)))
    if other is not None:
        raise AlreadyActing(acting_session_id=other)


def _check_eligible(member: Member, staff: Staff) -> None:
    if member.identity_id == staff.identity_id:
        raise MemberNotEligible(
            "This is yourself. Switch to the organization instead: POST /v1/sessions/exchange."
        )
    if not member.portal_access:
        raise MemberNotEligible("This member has no login. Give them portal access first.")
    if member.status == "disabled":
        raise MemberNotEligible("This member is disabled. Enable them first.")
    if member.status != "active" or not member.verified:
        raise MemberNotEligible(
            "This member's e-mail address is not verified yet. Have the link mailed again."
        )


def _check_often(session: Session, staff: Staff, now: datetime) -> None:
    starts = found.login_as_starts(session, staff.identity_id, now - DAY)
    for most, within in ((STARTS_AN_HOUR, HOUR), (STARTS_A_DAY, DAY)):
        recent = [at for at in starts if at > now - within]
        if len(recent) >= most:
            raise TooManyStarts(retry_after=int((recent[-most] + within - now).total_seconds()) + 1)


def _spent_at(session: Session, staff: Staff, organization_id: str, now: datetime) -> datetime:
    """When their hours in this organization are spent. Raises SupportHoursSpent."""
    times = found.inside_times(session, staff.identity_id, organization_id, now - DAY)
    left = INSIDE_A_DAY - sum((end - start for start, end in times), start=now - now)
    if left <= now - now:
        raise SupportHoursSpent(retry_after=int((times[0][0] + DAY - now).total_seconds()) + 1)
    return now + left
