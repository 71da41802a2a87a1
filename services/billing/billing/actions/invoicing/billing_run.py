"""The billing run: invoicing months that have ended, and flagging overdue invoices."""

from datetime import date, datetime, timedelta

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.actions.invoicing.invoices import Range, issue_regular, period_start
from billing.models import Account
from billing.queries import MonthEnd
from billing.values import SEALED, format_money, local_day, month_end, month_start


def run_billing(
    session: Session, *, now: datetime, limit: int = 100, only: str | None = None
) -> int:
    """Invoice what is unbilled from months that have ended; returns for how many accounts.

    ``only``: none but this organization. An account gets one invoice for all its ended months, up
    to the end of the last one in its time zone. What came later is left for the next invoice,
    unless so much of it was credited that the unbilled amount would not cover the invoice: then the
    invoice covers everything.
    """
    accounts = queries.accounts_to_bill(session, now, limit, only)
    with_charges = [account for account in accounts if account.unbilled]
    # The accounts are independent of each other, so nothing needs to be flushed in between.
    with session.no_autoflush:
        invoiced = _invoice_months(session, with_charges, now) if with_charges else []
        for account in accounts:
            is_sealed = account.status == SEALED
            account.month_ends_at = None if is_sealed else month_end(now, account.timezone)
        if invoiced:
            notifications.publish_balance_soon(session, *invoiced)
    return len(accounts)


def flag_overdue_invoices(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Publish each invoice that has become overdue, once; returns how many."""
    overdue = queries.newly_overdue(session, now, limit)
    for account, invoice in overdue:
        invoice.overdue_at = now
        outbox.publish(
            session,
            messages.InvoiceOverdue(
                organization_id=account.organization_id,
                provider_id=account.provider_id,
                invoice_id=invoice.id,
                number=invoice.number,
                currency=invoice.currency,
                open=format_money(invoice.open, invoice.currency),
                due_on=invoice.due_on.isoformat(),
            ),
        )
    return len(overdue)


def _invoice_months(session: Session, accounts: list[Account], now: datetime) -> list[Account]:
    """Issue the invoices; returns the accounts that got one."""
    ends = queries.month_ends(session, accounts, now)
    earliest_days = queries.period_starts(session, accounts)
    sellers = {account.provider_id: queries.seller_of(session, account) for account in accounts}
    invoiced = []
    for account in accounts:
        end = ends.get(account.organization_id)
        if end is None or not end.unbilled:
            continue
        first_day = period_start(account, earliest_days.get(account.organization_id), now)
        covered = _covered(account, end, first_day, now)
        seller = sellers[account.provider_id]
        issue_regular(session, account, seller, covered, now=now, by=SYSTEM)
        invoiced.append(account)
    return invoiced


def _covered(account: Account, end: MonthEnd, first_day: date, now: datetime) -> Range:
    first_seq, today = account.invoiced_seq + 1, local_day(now, account.timezone)
    if account.unbilled < end.unbilled:
        return Range(first_seq, account.seq, account.unbilled, first_day, today)
    month_start_day = local_day(month_start(now, account.timezone), account.timezone)
    last_day = month_start_day - timedelta(days=1)
    return Range(first_seq, end.seq, end.unbilled, first_day, last_day)
