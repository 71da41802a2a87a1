"""Links mailed to members at the request of someone else."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership.actions import audit_log, invitations, mails, members
from membership.models import Member
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
    if not member.portal_access or member.verified or member.status == "disabled":
        raise NothingToVerify()
    invitations.check_pause(member, now)
    invitations.invite_again(session, organization=organization, member=member, by=by, now=now)
    return member


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
