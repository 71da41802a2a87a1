"""What somebody else does with a member's login: end its sessions."""

from datetime import datetime

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership.actions import attempts, audit_log, logouts, mails, member_roles, members
from membership.models import Member, Organization
from membership.values import attempt_limits
from membership.values.authority import Authority
from membership.values.mails import SESSIONS_ENDED


def end_sessions(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """End the member's sessions in this organization, and those in which staff act as them; the
    member is notified by email. Raises CannotManageMember."""
    organization, member = members.lock(session, organization_id, member_id)
    member_roles.check_manageable(authority, organization, member.role, member.preset)
    ended = logouts.end_sessions(session, member_id=member.id, why="ended_by_admin", now=now)
    audit_log.record(
        session,
        "member.sessions_ended",
        organization=organization,
        member=member,
        by=by,
        now=now,
        changes=[{"field": "sessions", "before": ended, "after": 0}],
    )
    _notify(session, SESSIONS_ENDED, organization, member, authority, by, now)


def _notify(
    session: Session,
    purpose: str,
    organization: Organization,
    member: Member,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Email a member who has joined, unless there were too many emails of this purpose. Customers
    do not see which staff member it was."""
    if not member.verified or member.email is None:
        return
    limits = attempt_limits.login_notices(purpose, member.id)
    if attempts.take(session, limits=limits, now=now):
        return
    mails.queue_notice(
        session,
        purpose=purpose,
        organization=organization,
        email=member.email,
        now=now,
        by="Your provider" if authority.of_provider else by.label,
    )
