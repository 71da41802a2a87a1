"""Login As: provider staff act as a member of a customer, for half an hour."""

from datetime import datetime

from chassis import errors
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import acting_sessions
from membership.models import ActingSession, Member, Organization, SupportGrant
from membership.queries import support as support_queries
from membership.queries.support import ActiveSession
from membership.values.support import (
    DAY,
    HOUR,
    LOGIN_AS,
    LOGIN_AS_DURATION,
    LOGIN_AS_PER_DAY,
    LOGIN_AS_PER_HOUR,
    Staff,
)


class MemberNotEligible(errors.Conflict):
    code = "member_not_eligible"
    detail = (
        "It is not possible to log in as this member. Choose a verified, enabled member of the "
        "customer who has a login."
    )


class ConsentRequired(errors.Conflict):
    code = "consent_required"
    detail = (
        "This customer manages itself. Request support access and wait for its approval first: "
        "POST /v1/organizations/{id}/remote-support."
    )


class TooManyStarts(errors.TooMany):
    code = "too_many_starts"
    detail = "You have logged in as members too often. Wait, or use Remote Support."


def log_in_as(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reason: str,
    staff: Staff,
    now: datetime,
) -> ActiveSession:
    """Begin to act as a member. The audit record is written before there is a token. Where the
    customer manages itself, the session is under a grant that it consented to and ends with it.

    Raises NoSuchMember, MemberNotEligible, OrganizationNotActive, ConsentRequired, AlreadyActing,
    TooManyStarts, StaffSessionEnded."""
    queries.member(session, organization_id, member_id)
    organization = acting_sessions.open_organization(session, organization_id)
    if organization.kind != "customer":
        raise MemberNotEligible(
            "This person belongs to your own organization. Choose a member of a customer."
        )
    login = acting_sessions.lock_staff_session(session, staff, now, also=member_id)
    grant = _grant_needed(session, organization, now)
    acting_sessions.check_not_acting(session, staff, now)
    member = queries.member(session, organization_id, member_id)
    _check_eligible(session, organization, member, staff)
    _check_frequency(session, staff, now)
    ends = [now + LOGIN_AS_DURATION, login.expires_at, *([grant.expires_at] if grant else [])]
    acting = ActingSession(
        mode=LOGIN_AS,
        access=grant.access if grant else "full",
        reason=acting_sessions.reason_for_customers(session, reason, staff),
        member_id=member.id,
        grant_id=grant.id if grant else None,
        expires_at=min(ends),
    )
    active = ActiveSession(acting, organization, member)
    return acting_sessions.begin(
        session, active, "member.login_as.started", staff=staff, login=login, now=now
    )


def _grant_needed(
    session: Session, organization: Organization, now: datetime
) -> SupportGrant | None:
    """The grant to act under, locked against changes; None where the provider manages the
    organization. Raises ConsentRequired."""
    if organization.managed_by == "provider":
        return None
    best = support_queries.best_grant(session, organization.id, now, consented=True)
    if best is None:
        raise ConsentRequired()
    grant = support_queries.grant(session, organization.id, best.id, lock="use")
    if not grant.is_active(now):
        raise ConsentRequired()
    return grant


def _check_eligible(
    session: Session, organization: Organization, member: Member, staff: Staff
) -> None:
    if member.identity_id == staff.identity_id:
        raise MemberNotEligible(
            "This is you. Switch to the organization instead: POST /v1/sessions/exchange."
        )
    if not member.portal_access:
        raise MemberNotEligible("This member has no login. Give them portal access first.")
    if member.status == "disabled":
        raise MemberNotEligible("This member is disabled. Enable them first.")
    if member.status != "active" or not member.verified:
        raise MemberNotEligible(
            "This member's email address is not verified yet. Resend the verification link."
        )
    if queries.is_staff_of(session, member.identity_id or "", organization.provider_id):
        raise MemberNotEligible(
            "This member also works for the provider. You cannot log in as a colleague: choose "
            "another member."
        )


def _check_frequency(session: Session, staff: Staff, now: datetime) -> None:
    starts = support_queries.login_as_starts(session, staff.identity_id, now - DAY)
    for most, within in ((LOGIN_AS_PER_HOUR, HOUR), (LOGIN_AS_PER_DAY, DAY)):
        recent = [start for start in starts if start > now - within]
        if len(recent) >= most:
            next_allowed = recent[-most] + within
            raise TooManyStarts(retry_after=int((next_allowed - now).total_seconds()) + 1)
