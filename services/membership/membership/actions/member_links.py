"""Links mailed to members at the request of someone else."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership.actions import audit_log, invitations, mails, member_roles, members
from membership.models import Member, Organization
from membership.values import roles
from membership.values.authority import Authority


class NothingToVerify(errors.Conflict):
    code = "nothing_to_verify"
    detail = "This member has no address to verify. Enable them, or give them portal access, first."


class NoPasswordToReset(errors.Conflict):
    code = "no_password_to_reset"
    detail = (
        "Only an active member with a login and a verified address has a password to reset. Ask "
        "them to accept their invitation first."
    )


def resend_verification(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> Member:
    """Email a new link; the previous one stops working. Raises NothingToVerify, TooManyMails,
    CannotManageMember."""
    organization, member = members.lock_member(session, organization_id, member_id, authority)
    if member.pending_email is not None:
        _prove_again(session, organization, member, authority, by, now)
        return member
    if not member.portal_access or member.verified or member.status == "disabled":
        raise NothingToVerify()
    invitations.check_pause(member, now)
    invitations.invite_again(
        session, organization=organization, member=member, authority=authority, by=by, now=now
    )
    return member


def _prove_again(
    session: Session,
    organization: Organization,
    member: Member,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    member_roles.check_manageable(authority, organization, member.role, member.preset, admits=True)
    invitations.count_link(
        session,
        organization=organization,
        member=member,
        email=member.pending_email,
        authority=authority,
        now=now,
    )
    role = roles.in_token(organization.kind, member.role, member.preset)
    details = {"role": role, "admitted_by": authority.admitted_by}
    mails.queue_proof_again(session, member=member, details=details, by=by.id, now=now)
    audit_log.record(
        session, "invitation.sent", organization=organization, member=member, by=by, now=now
    )


def reset_password(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> Member:
    """Email a link by which the member chooses a new password. Nothing changes until they use it.

    Raises NoPasswordToReset, TooManyMails, CannotManageMember."""
    organization, member = members.lock_member(session, organization_id, member_id, authority)
    if not member.verified or member.email is None or member.status != "active":
        raise NoPasswordToReset()
    mails.queue_password_reset_by_staff(session, email=member.email, now=now)
    audit_log.record(
        session, "password.reset_asked", organization=organization, member=member, by=by, now=now
    )
    return member
