"""Emails about who owns and who administers an organization."""

from datetime import datetime

from sqlalchemy.orm import Session

from membership import queries
from membership.actions import mails
from membership.models import Member, Organization, OwnershipTransfer
from membership.values import support_receipts
from membership.values.mails import ADMIN_ADDED


def notify(
    session: Session,
    purpose: str,
    organization: Organization,
    member: Member,
    other: Member,
    now: datetime,
) -> None:
    """By email, and only to a verified address."""
    if member.email and member.verified:
        mails.queue_notice(
            session,
            purpose=purpose,
            organization=organization,
            email=member.email,
            member_id=member.id,
            now=now,
            other=other.name,
        )


def announce(session: Session, transfer: OwnershipTransfer, target: Member, now: datetime) -> None:
    """Email the owner and the admins that the provider replaces the owner, with a link that stops
    it."""
    details = {
        "other": target.name,
        "reason": transfer.reason,
        "until": support_receipts.moment(transfer.expires_at),
    }
    for member in queries.may_stop_transfers(session, transfer.organization_id):
        if member.id != target.id:
            mails.queue_stop_link(session, member=member, details=details, now=now)


def tell_owner_of_admin(
    session: Session, *, organization: Organization, admin: Member, now: datetime
) -> None:
    """Email the organization's owner that its provider has added this admin."""
    owner = queries.owner(session, organization.id)
    if owner is not None and owner.email:
        mails.queue_notice(
            session,
            purpose=ADMIN_ADDED,
            organization=organization,
            email=owner.email,
            now=now,
            member_id=owner.id,
            other=admin.name,
            address=admin.email,
        )
