"""Acting sessions: provider staff inside a customer's organization, by Login As or Remote Support.

An acting session depends on the staff member's own login session and ends with it. Each staff
member has at most one at a time."""

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
from membership.queries.support import ActiveSession
from membership.values import roles
from membership.values.support import (
    BY_CUSTOMER,
    BY_PROVIDER,
    EXPIRED,
    LOGIN_AS,
    MEMBER_CHANGED,
    ORGANIZATION_CHANGED,
    STAFF_SESSION_ENDED,
    STOPPED,
    Staff,
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


class StaffSessionEnded(errors.Unauthenticated):
    code = "token_revoked"
    detail = "Your own session has ended or your role has changed. Sign in again."


class CodeRequired(errors.Forbidden):
    code = "mfa_required"
    detail = "Your provider requires one-time codes. Turn them on first: POST /v1/me/totp."


def begin(
    session: Session,
    active: ActiveSession,
    action: str,
    *,
    staff: Staff,
    login: LoginSession,
    now: datetime,
) -> ActiveSession:
    """Store the acting session and audit it as ``action``, before any token exists."""
    acting, organization, member = active
    acting.id = ids.new("ses")
    acting.started_at = now
    acting.staff_identity_id = staff.identity_id
    acting.staff_member_id = login.member_id
    acting.staff_name = staff.name
    acting.staff_session_id = login.id
    acting.provider_id = organization.provider_id
    acting.organization_id = organization.id
    session.add(acting)
    session.flush()
    by = audit_log.acting_actor(acting, member)
    _record(session, action, active, by=by, now=now, reason=acting.reason)
    return active


def open_organization(session: Session, organization_id: str) -> Organization:
    """The organization, locked against changes together with its provider's settings. Raises
    OrganizationNotActive."""
    organization = queries.organization(session, organization_id, lock="use")
    # Before grants and sessions, in the same order as a change of the settings.
    queries.settings_of(session, organization.provider_id, lock="use")
    if organization.state != "open":
        raise OrganizationNotActive()
    return organization


def lock_staff_session(
    session: Session, staff: Staff, now: datetime, *, also: str = ""
) -> LoginSession:
    """The staff member's own login session, locked together with their membership and identity.
    Call it before grants are locked: disabling the staff member locks in this order.

    ``also``: a member to lock with them. Raises StaffSessionEnded when the session has ended or
    the role is not the one in their token, and CodeRequired."""
    member_id = session.scalar(
        select(LoginSession.member_id).where(LoginSession.id == staff.session_id)
    )
    wanted = [wanted_id for wanted_id in (member_id, also) if wanted_id]
    members = session.scalars(
        select(Member)
        .where(Member.id.in_(wanted))
        .order_by(Member.id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).all()
    session.get_one(Identity, staff.identity_id, with_for_update=True, populate_existing=True)
    login = session.get(
        LoginSession, staff.session_id, with_for_update=True, populate_existing=True
    )
    role = ""
    for member in members:
        if member.id == member_id and member.status == "active":
            role = roles.in_token("provider", member.role, member.preset)
    if login is None or login.ended_at is not None or login.expires_at <= now or role != staff.role:
        raise StaffSessionEnded()
    if queries.requires_codes(session, staff.organization_id) and not login.with_otp:
        raise CodeRequired()
    return login


def check_not_acting(session: Session, staff: Staff, now: datetime) -> None:
    """Raise AlreadyActing where the staff member is in an organization already."""
    own = ActingSession.staff_identity_id == staff.identity_id
    _end(session, own & (ActingSession.expires_at <= now), why=EXPIRED, now=now)
    other = session.scalar(select(ActingSession.id).where(own, ActingSession.ended_at.is_(None)))
    if other is not None:
        raise AlreadyActing(acting_session_id=other)


def reason_for_customers(session: Session, reason: str, staff: Staff) -> str:
    """The reason as it is stored: customers read it, and do not see which staff member gave it."""
    return staff.masks(reason, email=session.get_one(Identity, staff.identity_id).email)


def end_one(session: Session, *, acting: ActingSession, why: str, by: Actor, now: datetime) -> None:
    """End an acting session; one that has ended already stays as it is."""
    _end(session, ActingSession.id == acting.id, why=why, by=by, now=now)


def end_by_grant(
    session: Session, *, grant: SupportGrant, why: str, by: Actor, now: datetime
) -> None:
    """End every acting session under a grant."""
    _end(session, ActingSession.grant_id == grant.id, why=why, by=by, now=now)


def end_without_grant(session: Session, *, organization_id: str, now: datetime) -> None:
    """End every acting session in the organization that is under no grant."""
    without_grant = ActingSession.grant_id.is_(None)
    in_organization = ActingSession.organization_id == organization_id
    _end(session, in_organization & without_grant, why=ORGANIZATION_CHANGED, now=now)


def end_without_code(session: Session, *, provider_id: str, now: datetime) -> None:
    """End the acting sessions of the provider's staff who have not authenticated by a one-time
    code."""
    without_code = select(LoginSession.id).where(
        LoginSession.id == ActingSession.staff_session_id, LoginSession.with_otp.is_(False)
    )
    of_provider = ActingSession.provider_id == provider_id
    _end(session, of_provider & without_code.exists(), why=BY_PROVIDER, now=now)


def end_own(
    session: Session, *, acting_id: str, identity_id: str, by: Actor, now: datetime
) -> bool:
    """End an acting session at the request of the staff member or of the member they act as.

    Returns whether there was such a session."""
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


def end_with_logins(
    session: Session,
    *,
    logins: Sequence[str],
    member_id: str | None,
    organization_id: str | None,
    identity_id: str | None,
    now: datetime,
) -> None:
    """End the acting sessions that depend on these login sessions of staff, on this member or on
    this organization, and those as this person, in any organization."""
    if organization_id is not None:
        in_organization = ActingSession.organization_id == organization_id
        _end(session, in_organization, why=ORGANIZATION_CHANGED, now=now)
    elif logins:
        by_login = ActingSession.staff_session_id.in_(logins)
        _end(session, by_login, why=STAFF_SESSION_ENDED, now=now)
    if identity_id is not None:
        of_person = select(Member.id).where(Member.identity_id == identity_id)
        _end(session, ActingSession.member_id.in_(of_person), why=BY_CUSTOMER, now=now)
    if member_id is not None:
        _end(session, ActingSession.member_id == member_id, why=MEMBER_CHANGED, now=now)
        _end(session, ActingSession.staff_member_id == member_id, why=STAFF_SESSION_ENDED, now=now)


def end_with_role(session: Session, *, member_id: str, now: datetime) -> None:
    """End the acting sessions as this member, and those this member has as staff: their role has
    changed."""
    _end(session, ActingSession.member_id == member_id, why=MEMBER_CHANGED, now=now)
    _end(session, ActingSession.staff_member_id == member_id, why=BY_PROVIDER, now=now)


def end_expired(session: Session, *, now: datetime, limit: int = 100) -> int:
    """End the sessions that have expired; returns how many."""
    return _end(session, ActingSession.expires_at <= now, why=EXPIRED, now=now, limit=limit)


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
        .with_for_update(skip_locked=limit is not None)
        .execution_options(populate_existing=True)
    )
    ended = session.scalars(query).all()
    before = {acting.id: revocations.until(now, acting.started_at) for acting in ended}
    revocations.revoke(session, kind="session", before=before, now=now)
    for acting in ended:
        expired = acting.expires_at <= now
        acting.ended_at = min(now, acting.expires_at)
        acting.ended_why = EXPIRED if expired else why
        _publish_ended(session, acting, by=SYSTEM if expired else by, now=now)
    session.flush()
    return len(ended)


def _publish_ended(session: Session, acting: ActingSession, *, by: Actor, now: datetime) -> None:
    member = session.get(Member, acting.member_id) if acting.member_id else None
    organization = queries.organization(session, acting.organization_id)
    active = ActiveSession(acting, organization, member)
    action = "member.login_as.ended" if acting.mode == LOGIN_AS else "support.left"
    _record(session, action, active, by=by, now=now, reason=acting.ended_why)
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
    session: Session,
    action: str,
    active: ActiveSession,
    *,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> None:
    acting, organization, member = active
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
