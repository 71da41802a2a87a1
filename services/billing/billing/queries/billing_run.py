"""What the billing run needs: accounts whose month has ended, where it ended, overdue invoices."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, case, literal, select, text
from sqlalchemy.orm import Session, aliased

from billing.models import Account, Entry, Invoice
from billing.models.invoice import NOT_YET_OVERDUE, REGULAR_ONLY
from billing.values import month_start


class MonthEnd(NamedTuple):
    """The last row of a month in a journal, and the unbilled amount after it."""

    seq: int
    unbilled: int


def accounts_to_bill(
    session: Session, now: datetime, limit: int, only: str | None = None
) -> Sequence[Account]:
    """Accounts whose month has ended, locked; accounts locked elsewhere are skipped.

    ``only``: none but this one.
    """
    query = select(Account).where(Account.month_ends_at <= now)
    if only is not None:
        query = query.where(Account.organization_id == only)
    return session.scalars(
        query.order_by(Account.month_ends_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()


def organizations_to_bill(session: Session, now: datetime, limit: int = 100) -> Sequence[str]:
    """The organizations whose month has ended; not locked."""
    return session.scalars(
        select(Account.organization_id)
        .where(Account.month_ends_at <= now)
        .order_by(Account.month_ends_at)
        .limit(limit)
    ).all()


def month_ends(session: Session, accounts: Sequence[Account], now: datetime) -> dict[str, MonthEnd]:
    """By organization, where the last full month ended in its journal.

    Organizations without rows to invoice are missing. Only the newest of the rows since the last
    regular invoice are read.
    """
    timezones = {account.timezone for account in accounts}
    starts = {zone: literal(month_start(now, zone), Entry.posted_at.type) for zone in timezones}
    row = aliased(Entry)
    last = (
        select(row.seq)
        .where(
            row.organization_id == Account.organization_id,
            row.seq > Account.invoiced_seq,
            row.posted_at < case(starts, value=Account.timezone),
        )
        .order_by(row.seq.desc())
        .limit(1)
        .correlate(Account)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Entry.organization_id, Entry.seq, Entry.unbilled_after)
        .select_from(Account)
        .join(Entry, and_(Entry.organization_id == Account.organization_id, Entry.seq == last))
        .where(Account.organization_id.in_([account.organization_id for account in accounts]))
    )
    return {organization_id: MonthEnd(seq, unbilled) for organization_id, seq, unbilled in rows}


def period_starts(session: Session, accounts: Sequence[Account]) -> Mapping[str, date]:
    """By organization, the earliest first day of the next regular invoice's period.

    It is the day after the last regular invoice's period, or its last day itself if the invoice was
    issued on that day, because more may have followed.
    """
    rows = session.execute(
        select(Invoice.organization_id, Invoice.about, Invoice.issued_on)
        .select_from(Account)
        .join(
            Invoice,
            and_(
                Invoice.organization_id == Account.organization_id,
                Invoice.to_seq == Account.invoiced_seq,
                text(REGULAR_ONLY),
            ),
        )
        .where(Account.organization_id.in_([account.organization_id for account in accounts]))
    )
    starts = {}
    for row in rows:
        last_day = date.fromisoformat(row.about["period"]["to"])
        if last_day != row.issued_on:
            last_day += timedelta(days=1)
        starts[row.organization_id] = last_day
    return starts


def newly_overdue(session: Session, now: datetime, limit: int) -> list[tuple[Account, Invoice]]:
    """Invoices newly overdue, each with its account, locked; accounts locked elsewhere are
    skipped."""
    is_overdue = (text(NOT_YET_OVERDUE), Invoice.due_until <= now)
    organization_ids = session.scalars(
        select(Invoice.organization_id).where(*is_overdue).order_by(Invoice.due_until).limit(limit)
    ).all()
    locked = session.scalars(
        select(Account)
        .where(Account.organization_id.in_(organization_ids))
        .order_by(Account.organization_id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    accounts = {account.organization_id: account for account in locked}
    invoices = session.scalars(
        select(Invoice)
        .where(*is_overdue, Invoice.organization_id.in_(list(accounts)))
        .order_by(Invoice.due_until)
        .limit(limit)
    )
    return [(accounts[invoice.organization_id], invoice) for invoice in invoices]
