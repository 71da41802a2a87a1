"""Reports that a change of address was undone."""

from datetime import datetime

from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import mails
from membership.models import ApiKey, Identity, Member, Organization
from membership.values.mails import CHANGE_UNDONE


def report(
    session: Session, *, organization: Organization, member: Member, made_by: str, now: datetime
) -> None:
    """Email the owner, and the person who made the change or whose API key did."""
    owner = queries.owner(session, organization.id)
    recipients = {owner.email if owner and owner.verified else None, _maker(session, made_by)}
    for email in sorted(filter(None, recipients)):
        mails.queue_notice(
            session,
            purpose=CHANGE_UNDONE,
            organization=organization,
            email=email,
            member_id=member.id,
            now=now,
            other=member.name,
            address=member.email,
        )


def _maker(session: Session, made_by: str) -> str | None:
    if ids.is_id("key", made_by):
        key = session.get(ApiKey, made_by)
        made_by = key.created_by if key else ""
    if not ids.is_id("idn", made_by):
        return None
    maker = session.get(Identity, made_by)
    return maker.email if maker and maker.email_verified_at else None
