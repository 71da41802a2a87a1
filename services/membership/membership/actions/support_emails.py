"""Emails about support: requests for consent, grants that end soon, and receipts of what was
changed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from chassis import names
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import mails
from membership.models import Member, Organization, SupportGrant
from membership.queries import support as support_queries
from membership.values import support_receipts
from membership.values.mails import SUPPORT_ENDING, SUPPORT_RECEIPT, SUPPORT_REQUESTED
from membership.values.support import EXPIRY_WARNING, STOPPED, WARN_IF_LONGER_THAN_MINUTES


def ask_for_consent(
    session: Session, *, organization: Organization, grant: SupportGrant, now: datetime
) -> None:
    """Email those who may consent to a requested grant."""
    for member in support_queries.approvers(session, grant.organization_id):
        _mail(
            session,
            SUPPORT_REQUESTED,
            organization,
            member,
            now,
            reason=grant.reason,
            access=grant.access,
            lasting=support_receipts.duration(grant.minutes),
            until=support_receipts.moment(grant.expires_at),
        )


def warn_of_expiry(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Email the owner, once and a day ahead, that a grant of more than two days ends; returns how
    many grants."""
    ending = session.scalars(
        select(SupportGrant)
        .where(
            SupportGrant.status == "active",
            SupportGrant.warned_at.is_(None),
            SupportGrant.expires_at > now,
            SupportGrant.expires_at <= now + EXPIRY_WARNING,
            SupportGrant.minutes > WARN_IF_LONGER_THAN_MINUTES,
        )
        .order_by(SupportGrant.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for grant in ending:
        grant.warned_at = now
        owner = queries.owner(session, grant.organization_id)
        if owner is None:
            continue
        _mail(
            session,
            SUPPORT_ENDING,
            queries.organization(session, grant.organization_id),
            owner,
            now,
            reason=grant.reason,
            until=support_receipts.moment(grant.expires_at),
        )
    return len(ending)


def send_receipt(
    session: Session,
    *,
    organization_id: str,
    acting_id: str,
    rows: Iterable[dict[str, Any]],
    left_out: int,
    now: datetime,
) -> None:
    """Email the owner, and the member that staff acted as, what was changed in the organization.

    ``rows``: the audit records, of which ``left_out`` more exist. Nobody in an erased organization
    is emailed."""
    organization = queries.organization(session, organization_id)
    acting = support_queries.acting(session, organization_id, acting_id)
    if organization.state == "erased" or acting.ended_at is None:
        return
    acted_as = session.get(Member, acting.member_id) if acting.member_id else None
    minutes = round((acting.ended_at - acting.started_at).total_seconds() / 60)
    details = {
        "reason": acting.reason,
        "how": "through Remote Support"
        if acted_as is None
        else f"as {names.in_mail(acted_as.name)}",
        "began": support_receipts.moment(acting.started_at),
        "ended": support_receipts.moment(acting.ended_at),
        "lasting": support_receipts.duration(minutes),
        "why": support_receipts.WHY[acting.ended_why or STOPPED],
        "changes": support_receipts.changes(rows, left_out),
    }
    recipients = {}
    for member in (queries.owner(session, organization_id), acted_as):
        if member is not None and member.email and member.status in queries.CURRENT_STATUSES:
            recipients[member.id] = member
    for member in recipients.values():
        _mail(session, SUPPORT_RECEIPT, organization, member, now, **details)


def _mail(
    session: Session,
    purpose: str,
    organization: Organization,
    member: Member,
    now: datetime,
    **details: str,
) -> None:
    if not member.email or not member.verified:
        return
    mails.queue_notice(
        session,
        purpose=purpose,
        organization=organization,
        email=member.email,
        now=now,
        **details,
    )
