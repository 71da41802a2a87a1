"""Invoices: issue_transfers, voiding and crediting them. What they ask for is moved, never made: issue_transfers
one leaves the customer's balance as it is."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import posting
from billing.actions.payments import allocation
from billing.models import Account, CreditNote, Entry, Invoice, Provider
from billing.values import (
    AWAITING,
    INDIVIDUAL,
    INDIVIDUALLY_INVOICED,
    PREPAID,
    USAGE,
    VOID,
    Code,
    Transfer,
    day_start,
    extract_tax,
    format_money,
    local_day,
    month_start,
)

_TAIL = 10


class NothingToInvoice(Conflict):
    code = "nothing_to_invoice"
    detail = "The account has no unbilled charges. Charge it first, or wait for usage."


class InvoiceSettled(Conflict):
    code = "invoice_settled"
    detail = (
        "This invoice has payments or credits. Assign the payment elsewhere, or issue a credit "
        "note."
    )


class InvoiceVoid(Conflict):
    code = "invoice_void"
    detail = "This invoice is already void. Its charges go on the next invoice."


class CreditExceedsInvoice(Conflict):
    code = "credit_exceeds_invoice"
    detail = (
        "The credit is higher than what is left of this invoice. Credit no more than the remaining "
        "amount."
    )


class Range(NamedTuple):
    """What an invoice covers: rows of the journal, what they come to, and the days they are
    from."""

    from_seq: int
    to_seq: int
    total: int
    begin: date
    end: date


def issue_invoice(
    session: Session, *, organization_id: str, now: datetime, by: Actor
) -> dict[str, Any]:
    """Make everything that is unbilled due; the invoice.

    Raises NoAccount, AccountClosed, NothingToInvoice, AmountTooLarge."""
    account = posting.lock_account(session, organization_id)
    if account.payment_mode == PREPAID or not account.unbilled:
        raise NothingToInvoice()
    seller = queries.seller_of(session, account)
    begin = period_start(
        account, queries.period_starts(session, [account]).get(organization_id), now
    )
    covered = Range(
        account.invoiced_seq + 1,
        account.seq,
        account.unbilled,
        begin,
        local_day(now, account.timezone),
    )
    invoice = issue_regular(session, account, seller, covered, now=now, by=by)
    posting.publish_balance(session, account, now)
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
    """Make what the rows come to due; whoever calls says the new figures. They begin where the
    regular invoice before ended."""
    kind = seller.setting("invoicing")
    invoice = _draw(session, account, seller, covered, USAGE if kind == INDIVIDUAL else kind, now)
    account.invoiced_seq = covered.to_seq
    rows = posting.post(
        session,
        account,
        issue_transfers(session, account, invoice),
        kind="invoice",
        now=now,
        description=f"Invoice {invoice.number}",
    )
    record_issued(session, account, invoice, rows, now=now, by=by)
    return invoice


def create_individual(
    session: Session, account: Account, amount: int, legs: int, *, kind: str, now: datetime
) -> Invoice | None:
    """The invoice for a charge of this kind alone, where the provider sends such; ``legs``: how
    many rows the charge is going to have. The first of them carries the invoice's id, and what
    ``issuing`` answers is posted with them."""
    if kind not in INDIVIDUALLY_INVOICED or account.payment_mode == PREPAID:
        return None
    seller = queries.seller_of(session, account)
    if seller.setting("invoicing") != INDIVIDUAL:
        return None
    today = local_day(now, account.timezone)
    covered = Range(account.seq + 1, account.seq + legs, amount, today, today)
    return _draw(session, account, seller, covered, INDIVIDUAL, now)


def issue_transfers(session: Session, account: Account, invoice: Invoice) -> list[Transfer]:
    """What makes an invoice due, and has a surplus pay what is open, oldest first."""
    due = Transfer(Code.INVOICED, Code.UNBILLED, invoice.total, invoice.id)
    if not account.surplus:
        return [due]
    session.flush()
    return [
        due,
        *allocation.pay_from_surplus(allocation.open_invoices(session, account), account.surplus),
    ]


def record_issued(
    session: Session,
    account: Account,
    invoice: Invoice,
    rows: Sequence[Entry],
    *,
    now: datetime,
    by: Actor,
) -> None:
    """Write to the audit that the invoice was issued by these rows, say so, and carry over what
    they have paid."""

    def money(amount: int) -> str:
        return format_money(amount, invoice.currency)

    _record(session, account, invoice, "invoice.issued", by=by, now=now)
    paid = sum(
        row.amount for row in rows if row.invoice_id == invoice.id and row.debit == Code.SURPLUS
    )
    outbox.publish(
        session,
        said.InvoiceIssued(
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


def period_start(account: Account, period_starts: date | None, now: datetime) -> date:
    """The first day of the period that the next regular invoice is about: where the one before
    ended, within the month that is to be invoiced."""
    ends = account.month_ends_at or now
    month = local_day(
        month_start(min(now, ends - timedelta(microseconds=1)), account.timezone), account.timezone
    )
    return max(month, local_day(account.opened_at, account.timezone), period_starts or date.min)


def void_invoice(
    session: Session,
    *,
    organization_id: str,
    invoice_id: str,
    now: datetime,
    by: Actor,
    reason: str | None = None,
) -> dict[str, Any]:
    """Take an invoice back of which nothing is paid or credited: what was on it is unbilled again;
    the invoice.

    Raises NoAccount, NoInvoice, AccountClosed, InvoiceVoid, InvoiceSettled, AmountTooLarge."""
    account = posting.lock_account(session, organization_id)
    invoice = queries.get_invoice(session, organization_id, invoice_id)
    if invoice.status == VOID:
        raise InvoiceVoid()
    if invoice.paid or invoice.credited:
        raise InvoiceSettled()
    invoice.status, invoice.voided_at = VOID, now
    posting.post(
        session,
        account,
        [Transfer(Code.UNBILLED, Code.INVOICED, invoice.total, invoice_id)],
        kind="void",
        now=now,
        description=f"Invoice {invoice.number} voided",
        reason=reason,
    )
    _record(
        session,
        account,
        invoice,
        "invoice.voided",
        by=by,
        now=now,
        reason=reason,
        changes=[{"field": "status", "before": AWAITING, "after": VOID}],
    )
    outbox.publish(
        session,
        said.InvoiceVoided(
            organization_id=organization_id,
            provider_id=account.provider_id,
            invoice_id=invoice_id,
            number=invoice.number,
            currency=invoice.currency,
            total=format_money(invoice.total, invoice.currency),
        ),
    )
    posting.publish_balance(session, account, now)
    return queries.show_invoice(session, invoice, now)


def issue_credit_note(
    session: Session,
    *,
    organization_id: str,
    invoice_id: str,
    reason: str,
    now: datetime,
    by: Actor,
    amount: int | None = None,
) -> dict[str, Any]:
    """Take back an amount of an invoice, all that is left of it unless said otherwise; the invoice.

    Raises NoAccount, NoInvoice, AccountClosed, InvoiceVoid, CreditExceedsInvoice, AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id)
    invoice = queries.get_invoice(session, organization_id, invoice_id)
    amount = invoice.total - invoice.credited if amount is None else amount
    credit_invoice(session, account, invoice, amount, reason=reason, now=now, by=by)
    return queries.show_invoice(session, invoice, now)


def credit_invoice(
    session: Session,
    account: Account,
    invoice: Invoice,
    amount: int,
    *,
    reason: str,
    now: datetime,
    by: Actor,
    kind: str = "credit_note",
    extra: Sequence[Transfer] = (),
    **words: Any,
) -> list[Entry]:
    """Issue a credit note and answer its rows. It lowers what the invoice still asks for; where
    that was paid, the payment is released and comes back as surplus, or into the wallet of an
    account that is prepaid by now.

    ``extra``: what is posted with it; ``words``: what the first row says beside. Says the new figures too. Raises
    InvoiceVoid, CreditExceedsInvoice, AmountTooLarge."""
    left = invoice.total - invoice.credited
    if invoice.status == VOID:
        raise InvoiceVoid()
    if not 0 < amount <= left:
        raise CreditExceedsInvoice(left=format_money(left, invoice.currency))
    account.credit_notes += 1
    number = f"{_prefix(account)}-C{account.credit_notes:04d}"
    words.setdefault("description", f"Credit note {number} for invoice {invoice.number}")
    transfers = [*_credit(session, account, invoice, amount), *extra]
    rows = posting.post(session, account, transfers, kind=kind, now=now, reason=reason, **words)
    note = CreditNote(
        organization_id=account.organization_id,
        transaction_id=rows[0].transaction_id,
        provider_id=account.provider_id,
        invoice_id=invoice.id,
        number=number,
        amount=amount,
        tax=_tax_share(session, invoice, amount),
        reason=reason,
        issued_at=now,
    )
    session.add(note)
    currency = invoice.currency
    _record(
        session,
        account,
        invoice,
        "invoice.credited",
        by=by,
        now=now,
        reason=reason,
        changes=[
            {
                "field": "credited",
                "before": format_money(invoice.credited, currency),
                "after": format_money(invoice.credited + amount, currency),
            }
        ],
    )
    outbox.publish(
        session,
        said.CreditNoteIssued(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            invoice_id=invoice.id,
            transaction_id=note.transaction_id,
            number=number,
            currency=currency,
            amount=format_money(amount, currency),
            tax=format_money(note.tax, currency),
            reason=reason,
        ),
    )
    allocation.update_invoices(session, account, rows, now)
    posting.publish_balance(session, account, now)
    return rows


def _credit(session: Session, account: Account, invoice: Invoice, amount: int) -> list[Transfer]:
    back = amount - min(amount, invoice.open)
    transfers = allocation.deallocate(session, invoice, back)
    transfers.append(Transfer(Code.REVENUE, Code.INVOICED, amount, invoice.id))
    if back and account.payment_mode == PREPAID:
        transfers.append(Transfer(Code.SURPLUS, Code.PREPAID, back))
    return transfers


def _tax_share(session: Session, invoice: Invoice, amount: int) -> int:
    """The tax in a part of the invoice, counted from what its credit notes come to already, so that
    all of them together hold the tax of the whole."""
    if invoice.tax_rate is None:
        return 0
    before = queries.credited_by_notes(session, invoice)
    return extract_tax(before + amount, invoice.tax_rate) - extract_tax(before, invoice.tax_rate)


def _draw(
    session: Session, account: Account, seller: Provider, covered: Range, kind: str, now: datetime
) -> Invoice:
    account.invoices += 1
    today = local_day(now, account.timezone)
    due_on = today + timedelta(days=seller.setting("payment_terms_days"))
    name, rate = _tax_of(
        seller, account.country, covered.end
    )  # of when it was supplied, not of the day after
    invoice = Invoice(
        organization_id=account.organization_id,
        id=ids.new("inv"),
        provider_id=account.provider_id,
        number=f"{_prefix(account)}-{account.invoices:04d}",
        kind=kind,
        status=AWAITING,
        currency=account.currency,
        from_seq=covered.from_seq,
        to_seq=covered.to_seq,
        total=covered.total,
        tax=extract_tax(covered.total, rate) if rate is not None else 0,
        tax_name=name,
        tax_rate=rate,
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
    """What is printed on the invoice and may be another tomorrow."""
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
        "period": {"from": covered.begin.isoformat(), "to": covered.end.isoformat()},
        "timezone": account.timezone,
    }


def _tax_of(seller: Provider, country: str, day: date) -> tuple[str | None, str | None]:
    """Name and rate of the tax of a country on a day; None where there is none."""
    rates = [
        rate
        for rate in seller.setting("tax_rates")
        if rate["country"] == country and rate["valid_from"] <= day.isoformat()
    ]
    found = max(rates, key=lambda rate: str(rate["valid_from"]), default=None)
    return (found["name"], found["rate"]) if found else (None, None)


def _prefix(account: Account) -> str:
    """Invoices are numbered per customer, so that no two customers wait for each other's number."""
    return account.organization_id[-_TAIL:].upper()


def _record(
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
    posting.record(
        session,
        account,
        action,
        by=by,
        now=now,
        reason=reason,
        changes=changes,
        target={"type": "invoice", "id": invoice.id, "label": invoice.number},
    )
