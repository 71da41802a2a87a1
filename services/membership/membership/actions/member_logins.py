"""What somebody else does with a member's login: end its sessions, reset its one-time codes."""

from datetime import datetime

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    attempts,
    audit_log,
    logouts,
    mails,
    member_roles,
    members,
    recovery,
)
from membership.models import Identity, Member, Organization
from membership.values import attempt_limits
from membership.values.authority import Authority
from membership.values.lifetimes import RESET_CODES
from membership.values.mails import CODES_RESET_BY, NO_CODES, OWN_CODES, SESSIONS_ENDED


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
    if _may_notify(session, SESSIONS_ENDED, member, now):
        _notify(session, SESSIONS_ENDED, organization, member, authority, by, now)


def reset_codes(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    unknown_hash: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Turn off the one-time codes of a member who has lost them: at once, or by an emailed link and
    with their password, see ``_needs_confirmation``. One's own stay on. Nothing happens to people
    who have not joined.

    ``unknown_hash``: as in ``recovery.turn_off``. Raises CannotManageMember."""
    organization, member = members.lock(session, organization_id, member_id)
    member_roles.check_manageable(authority, organization, member.role, member.preset)
    if not member.verified or member.identity_id is None:
        return
    identity = session.get_one(
        Identity, member.identity_id, with_for_update=True, populate_existing=True
    )
    notify = (organization, member, authority, by, now)
    if not queries.has_one_time_codes(session, identity.id):
        if _may_notify(session, NO_CODES, member, now):
            _notify(session, NO_CODES, *notify)
    elif identity.id == by.id:
        if _may_notify(session, OWN_CODES, member, now):
            _notify(session, OWN_CODES, *notify)
    elif not _needs_confirmation(session, organization, member, authority):
        recovery.turn_off(session, identity=identity, unknown_hash=unknown_hash, by=by, now=now)
        _notify(session, CODES_RESET_BY, *notify)
    elif _may_notify(session, RESET_CODES, member, now):
        details = {"organization": organization.name, "by": _name(authority, by)}
        mails.queue_codes_link(session, member=member, identity=identity, details=details, now=now)
        audit_log.record(
            session, "mfa.reset_asked", organization=organization, member=member, by=by, now=now
        )


def _needs_confirmation(
    session: Session, organization: Organization, member: Member, authority: Authority
) -> bool:
    """Whether only the person turns their codes off: where they belong to another organization too,
    if only by an invitation, and where its provider asks for the owner or an admin of a customer
    that manages itself."""
    is_in_power = member.role != "member" and organization.managed_by == "customer"
    is_elsewhere = len(queries.memberships(session, member.identity_id or "")) > 1
    return is_elsewhere or (authority.of_provider and is_in_power)


def _may_notify(session: Session, purpose: str, member: Member, now: datetime) -> bool:
    """Whether to email this member, who must have joined; there may be too many emails of this
    purpose."""
    limits = attempt_limits.login_notices(purpose, member.id)
    return member.verified and not attempts.take(session, limits=limits, now=now)


def _notify(
    session: Session,
    purpose: str,
    organization: Organization,
    member: Member,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    mails.queue_notice(
        session,
        purpose=purpose,
        organization=organization,
        email=member.email or "",
        now=now,
        by=_name(authority, by),
    )


def _name(authority: Authority, by: Actor) -> str:
    """Who did it. Customers do not see which staff member it was."""
    return "Your provider" if authority.of_provider else by.label
