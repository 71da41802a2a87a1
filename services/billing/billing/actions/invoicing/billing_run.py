"""What becomes of invoices because a day or a month is over."""

from datetime import date, datetime, timedelta
from typing import Any

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.invoicing.invoices import Range, issue_regular, period_start
from billing.actions.ledger.bulk_sql import insert_rows
from billing.models import Account, UnpublishedBalance
from billing.queries import MonthEnd
from billing.values import SEALED, format_money, local_day, month_end, month_start

_UNPUBLISHED: Any = UnpublishedBalance.__table__


def run_billing(
    session: Session, *, now: datetime, most: int = 100, only: str | None = None
) -> int:
    """Invoice what is unbilled from months that are over; answers for how many accounts. ``only``:
    of this one.

    An account gets one invoice for all of them, up to where the last of them ended in its time
    zone. What came since is left for the next, unless so much of it was given back that what is
    unbilled would not cover the invoice: then it covers everything."""
    ended = queries.accounts_to_bill(session, now, most, only)
    billed = [account for account in ended if account.unbilled]
    cuts = queries.month_ends(session, billed, now) if billed else {}
    until = queries.period_starts(session, billed) if billed else {}
    sellers = {account.provider_id: queries.seller_of(session, account) for account in billed}
    changed: list[tuple[str]] = []
    with (
        session.no_autoflush
    ):  # every account is another's; what they have in common is written at once
        for account in billed:
            cut = cuts.get(account.organization_id)
            if cut is not None and cut.unbilled:
                begin = period_start(account, until.get(account.organization_id), now)
                issue_regular(
                    session,
                    account,
                    sellers[account.provider_id],
                    _cover(account, cut, begin, now),
                    now=now,
                    by=SYSTEM,
                )
                changed.append((account.organization_id,))
        for account in ended:
            account.month_ends_at = (
                None if account.status == SEALED else month_end(now, account.timezone)
            )
        if changed:
            insert_rows(
                session,
                _UNPUBLISHED,
                ("organization_id",),
                changed,
                conflict=lambda statement: statement.on_conflict_do_nothing(),
            )
    return len(ended)


def flag_overdue_invoices(session: Session, *, now: datetime, most: int = 100) -> int:
    """Say which invoices were not paid in time, each once; answers how many."""
    found = queries.newly_overdue(session, now, most)
    for account, invoice in found:
        invoice.overdue_at = now
        outbox.publish(
            session,
            said.InvoiceOverdue(
                organization_id=account.organization_id,
                provider_id=account.provider_id,
                invoice_id=invoice.id,
                number=invoice.number,
                currency=invoice.currency,
                open=format_money(invoice.open, invoice.currency),
                due_on=invoice.due_on.isoformat(),
            ),
        )
    return len(found)


def _cover(account: Account, cut: MonthEnd, begin: date, now: datetime) -> Range:
    first, today = account.invoiced_seq + 1, local_day(now, account.timezone)
    if account.unbilled < cut.unbilled:
        return Range(first, account.seq, account.unbilled, begin, today)
    last_day = local_day(month_start(now, account.timezone), account.timezone) - timedelta(days=1)
    return Range(first, cut.seq, cut.unbilled, begin, last_day)
