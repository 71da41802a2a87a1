"""Issuing invoices.

An invoice moves the unbilled amount to the invoiced one, so it leaves the customer's balance as it
is.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, notifications
from billing.actions.ledger import posting
from billing.actions.payments import allocation
from billing.models import Account, Entry, Invoice, Provider
from billing.values import (
    AWAITING,
    INDIVIDUAL,
    INDIVIDUALLY_INVOICED,
    PREPAID,
    USAGE,
    Code,
    Transfer,
    day_start,
    extract_tax,
    format_money,
    local_day,
    month_start,
)

_PREFIX_LENGTH = 10


class NothingToInvoice(Conflict):
    code = "nothing_to_invoice"
    detail = "The account has no unbilled charges. Charge it first, or wait for usage."


class InvoiceVoid(Conflict):
    code = "invoice_void"
    detail = "This invoice is already void. Its charges go on the next invoice."


class Range(NamedTuple):
    """What an invoice covers: rows of the journal, their total, and the period in days."""

    from_seq: int
    to_seq: int
    total: int
    first_day: date
    last_day: date


def issue_invoice(
    session: Session, *, organization_id: str, now: datetime, by: Actor
) -> dict[str, Any]:
    """Invoice the whole unbilled amount; returns the invoice.

    Raises NoAccount, AccountClosed, NothingToInvoice, AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id)
    if account.payment_mode == PREPAID or not account.unbilled:
        raise NothingToInvoice()
    seller = queries.seller_of(session, account)
    earliest = queries.period_starts(session, [account]).get(organization_id)
    first_seq, today = account.invoiced_seq + 1, local_day(now, account.timezone)
    first_day = period_start(account, earliest, now)
    covered = Range(first_seq, account.seq, account.unbilled, first_day, today)
    invoice = issue_regular(session, account, seller, covered, now=now, by=by)
    notifications.publish_balance(session, account, now=now)
    return queries.show_invoice(session, invoice, now)


def issue_regular(
    session: Session,
    account: Account,
    seller: Provider,
    covered: Range,
    *,
    now: datetime,
    by: Actor,
) -> Invoice:
    """Invoice a range that starts where the previous regular invoice ended.

    The caller publishes the balance.
    """
    kind = seller.setting("invoicing")
    if kind == INDIVIDUAL:
        kind = USAGE
    invoice = _create(session, account, seller, covered, kind, now)
    account.invoiced_seq = covered.to_seq
    rows = posting.post(
        session,
        account,
        issue_transfers(session, account, invoice),
        kind="invoice",
        now=now,
        by=by,
        description=f"Invoice {invoice.number}",
    )
    record_issued(session, account, invoice, rows, now=now, by=by)
    return invoice


def create_individual(
    session: Session, account: Account, amount: int, row_count: int, *, kind: str, now: datetime
) -> Invoice | None:
    """The invoice for this one charge, or None if the provider does not invoice it individually.

    ``row_count``: the number of rows the charge will have. The first one carries the invoice id,
    and the transfers of ``issue_transfers`` are posted with it.
    """
    if kind not in INDIVIDUALLY_INVOICED or account.payment_mode == PREPAID:
        return None
    seller = queries.seller_of(session, account)
    if seller.setting("invoicing") != INDIVIDUAL:
        return None
    today = local_day(now, account.timezone)
    covered = Range(account.seq + 1, account.seq + row_count, amount, today, today)
    return _create(session, account, seller, covered, INDIVIDUAL, now)


def issue_transfers(session: Session, account: Account, invoice: Invoice) -> list[Transfer]:
    """Make the invoice due; a surplus pays open invoices at once, oldest first."""
    due = Transfer(Code.INVOICED, Code.UNBILLED, invoice.total, invoice.id)
    if not account.surplus:
        return [due]
    session.flush()
    open_invoices = allocation.open_invoices(session, account)
    return [due, *allocation.pay_from_surplus(open_invoices, account.surplus)]


def record_issued(
    session: Session,
    account: Account,
    invoice: Invoice,
    rows: Sequence[Entry],
    *,
    now: datetime,
    by: Actor,
) -> None:
    """Record and publish the invoice that these rows issued, and update the invoices they paid."""

    def money(amount: int) -> str:
        return format_money(amount, invoice.currency)

    record_action(session, account, invoice, "invoice.issued", by=by, now=now)
    paid = 0
    for row in rows:
        if row.invoice_id == invoice.id and row.debit == Code.SURPLUS:
            paid += row.amount
    outbox.publish(
        session,
        messages.InvoiceIssued(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            invoice_id=invoice.id,
            number=invoice.number,
            kind=invoice.kind,
            currency=invoice.currency,
            total=money(invoice.total),
            tax=money(invoice.tax),
            open=money(invoice.total - paid),
            issued_on=invoice.issued_on.isoformat(),
            due_on=invoice.due_on.isoformat(),
            email=account.billing.get("email"),
        ),
    )
    allocation.update_invoices(session, account, rows, now)


def record_action(
    session: Session,
    account: Account,
    invoice: Invoice,
    action: str,
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    changes: list[dict[str, Any]] | None = None,
) -> None:
    """Record an action on an invoice in the audit log."""
    audit_log.record(
        session,
        account,
        action,
        by=by,
        now=now,
        reason=reason,
        changes=changes,
        target={"type": "invoice", "id": invoice.id, "label": invoice.number},
    )


def period_start(account: Account, earliest: date | None, now: datetime) -> date:
    """The first day of the next regular invoice's period.

    It is ``earliest`` (None: the day of opening), but within the month that is to be invoiced.
    """
    month_ends_at = account.month_ends_at or now
    within_month = min(now, month_ends_at - timedelta(microseconds=1))
    month = local_day(month_start(within_month, account.timezone), account.timezone)
    opened = local_day(account.opened_at, account.timezone)
    return max(month, opened, earliest or date.min)


def number_prefix(account: Account) -> str:
    """Numbers are per customer, so that no two customers wait for each other's next number."""
    return account.organization_id[-_PREFIX_LENGTH:].upper()


def _create(
    session: Session, account: Account, seller: Provider, covered: Range, kind: str, now: datetime
) -> Invoice:
    account.invoices += 1
    today = local_day(now, account.timezone)
    due_on = today + timedelta(days=seller.setting("payment_terms_days"))
    # The rate of the day of supply, not of the day of issue.
    tax_name, tax_rate = _tax_of(seller, account.country, covered.last_day)
    invoice = Invoice(
        organization_id=account.organization_id,
        id=ids.new("inv"),
        provider_id=account.provider_id,
        number=f"{number_prefix(account)}-{account.invoices:04d}",
        kind=kind,
        status=AWAITING,
        currency=account.currency,
        from_seq=covered.from_seq,
        to_seq=covered.to_seq,
        total=covered.total,
        tax=extract_tax(covered.total, tax_rate) if tax_rate is not None else 0,
        tax_name=tax_name,
        tax_rate=tax_rate,
        paid=0,
        credited=0,
        about=_about(account, seller, covered),
        issued_on=today,
        due_on=due_on,
        due_until=day_start(due_on + timedelta(days=1), account.timezone),
        issued_at=now,
    )
    session.add(invoice)
    return invoice


def _about(account: Account, seller: Provider, covered: Range) -> dict[str, Any]:
    """What is printed on the invoice and may change later."""
    return {
        "seller": {
            "name": seller.name or "",
            "country": seller.country or "",
            "billing": seller.billing or {},
        },
        "buyer": {
            "name": account.name,
            "country": account.country,
            "billing": account.billing,
            "buyer_tags": account.buyer_tags,
        },
        "period": {"from": covered.first_day.isoformat(), "to": covered.last_day.isoformat()},
        "timezone": account.timezone,
    }


def _tax_of(seller: Provider, country: str, day: date) -> tuple[str | None, str | None]:
    """Name and rate of a country's tax on a day; None if there is none."""
    rates = [
        rate
        for rate in seller.setting("tax_rates")
        if rate["country"] == country and rate["valid_from"] <= day.isoformat()
    ]
    if not rates:
        return None, None
    latest = max(rates, key=lambda rate: str(rate["valid_from"]))
    return latest["name"], latest["rate"]
