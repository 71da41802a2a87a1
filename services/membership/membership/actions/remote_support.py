"""Remote Support: provider staff enter a customer's organization under a grant."""

from datetime import datetime, timedelta

from chassis import errors
from sqlalchemy.orm import Session

from membership.actions import acting_sessions, support_grants
from membership.models import ActingSession, SupportGrant
from membership.queries import support as support_queries
from membership.queries.support import ActiveSession
from membership.values.support import (
    DAY,
    REMOTE_SUPPORT,
    SUPPORT_SESSION_DURATION,
    SUPPORT_TIME_PER_DAY,
    Staff,
)


class GrantNotActive(errors.Conflict):
    code = "grant_not_active"
    detail = (
        "This grant is not active. Request a new one: POST /v1/organizations/{id}/remote-support."
    )


class SupportHoursSpent(errors.TooMany):
    code = "support_hours_spent"
    detail = (
        "You have spent 8 hours in this organization within a day. Come back later, or ask a "
        "colleague to continue."
    )


def enter(
    session: Session,
    *,
    organization_id: str,
    grant_id: str | None,
    reason: str | None,
    staff: Staff,
    now: datetime,
) -> ActiveSession:
    """Enter under a grant (None: the best active one), for at most an hour and eight hours a day.

    Raises NoSuchGrant, GrantNotActive, ManagedServiceOff, OrganizationNotActive, AlreadyActing,
    SupportHoursSpent, StaffSessionEnded."""
    if grant_id is not None:
        support_queries.grant(session, organization_id, grant_id)
    organization = acting_sessions.open_organization(session, organization_id)
    support_grants.check_managed_service(session, organization)
    login = acting_sessions.lock_staff_session(session, staff, now)
    grant = _usable_grant(session, organization_id, grant_id, now)
    acting_sessions.check_not_acting(session, staff, now)
    expires_at = min(
        now + SUPPORT_SESSION_DURATION,
        grant.expires_at,
        login.expires_at,
        _daily_time_ends_at(session, staff, organization_id, now),
    )
    acting = ActingSession(
        mode=REMOTE_SUPPORT,
        access=grant.access,
        reason=acting_sessions.reason_for_customers(session, reason or grant.reason, staff),
        grant_id=grant.id,
        expires_at=expires_at,
    )
    active = ActiveSession(acting, organization, None)
    return acting_sessions.begin(
        session, active, "support.entered", staff=staff, login=login, now=now
    )


def _usable_grant(
    session: Session, organization_id: str, grant_id: str | None, now: datetime
) -> SupportGrant:
    """The grant, locked against changes. Raises GrantNotActive."""
    if grant_id is None:
        best = support_queries.best_grant(session, organization_id, now)
        if best is None:
            raise GrantNotActive()
        grant_id = best.id
    grant = support_queries.grant(session, organization_id, grant_id, lock="use")
    if grant.status == "pending" and grant.expires_at > now:
        raise GrantNotActive("The customer has not approved this yet. Wait for approval.")
    if not grant.is_active(now):
        raise GrantNotActive()
    return grant


def _daily_time_ends_at(
    session: Session, staff: Staff, organization_id: str, now: datetime
) -> datetime:
    """When the staff member's time in this organization is used up. Raises SupportHoursSpent."""
    times = support_queries.support_times(session, staff.identity_id, organization_id, now - DAY)
    spent = sum((end - start for start, end in times), start=timedelta(0))
    left = SUPPORT_TIME_PER_DAY - spent
    if left <= timedelta(0):
        next_allowed = times[0][0] + DAY
        raise SupportHoursSpent(retry_after=int((next_allowed - now).total_seconds()) + 1)
    return now + left
