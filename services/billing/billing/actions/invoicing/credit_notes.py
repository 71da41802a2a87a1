"""Crediting invoices."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.actions.invoicing import invoices
from billing.actions.ledger import posting
from billing.actions.payments import allocation
from billing.models import Account, CreditNote, Entry, Invoice
from billing.models.drafts import buyer_shown, number_prefix, seller_shown
from billing.models.taxes import (
    Rates,
    Tax,
    at_most,
    break_down,
    share_of,
    stored_taxes,
    subtract,
    taxes_of,
)
from billing.values import PREPAID, VOID, Code, Transfer, divide, format_money


class CreditExceedsInvoice(Conflict):
    code = "credit_exceeds_invoice"
    detail = (
        "The credit is higher than what is left of this invoice. Credit no more than the remaining "
        "amount."
    )


class NothingToCredit(Conflict):
    code = "nothing_to_credit"
    detail = "The amount is rounded to zero on a credit note. Credit more."


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
    """Credit an amount of an invoice, by default all that is left of it; returns the invoice.

    The credit note is rounded as the invoice is. Raises NoAccount, NoInvoice, AccountClosed,
    InvoiceVoid, CreditExceedsInvoice, NothingToCredit, AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id)
    invoice = queries.get_invoice(session, organization_id, invoice_id)
    if amount is None:
        amount = invoice.total - invoice.credited
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
    rates: Rates | None = None,
    extra: Sequence[Transfer] = (),
    **fields: Any,
) -> list[Entry]:
    """Issue a credit note, publish the balance, and return the rows of the journal.

    It lowers the balance due. What was paid of it is deallocated and becomes surplus, or goes into
    the wallet of an account that has become prepaid. ``rates``: the taxes on what is credited; None
    for a part of everything. ``extra``: transfers posted with it. ``fields``: further columns of
    the first row. Raises InvoiceVoid, CreditExceedsInvoice, NothingToCredit, AmountTooLarge.
    """
    notes = queries.credit_notes(session, invoice)
    total = _rounded(invoice, amount, len(notes))
    number = _next_number(account)
    fields.setdefault("description", f"Credit note {number} for invoice {invoice.number}")
    transfers = [*_transfers(account, invoice, amount, total), *extra]
    rows = posting.post(
        session, account, transfers, kind=kind, now=now, by=by, reason=reason, **fields
    )
    taxes = _taxes(invoice, notes, amount, total, rates)
    note = CreditNote(
        organization_id=account.organization_id,
        transaction_id=rows[0].transaction_id,
        provider_id=account.provider_id,
        invoice_id=invoice.id,
        number=number,
        amount=total,
        rounding=total - amount,
        tax=sum(tax.tax for tax in taxes),
        taxes=stored_taxes(taxes),
        about=_about(session, account),
        reason=reason,
        issued_at=now,
    )
    session.add(note)
    _record(session, account, invoice, note, by=by, now=now)
    allocation.update_invoices(session, account, rows, now)
    notifications.publish_balance(session, account, now=now)
    return rows


def _rounded(invoice: Invoice, amount: int, earlier: int) -> int:
    """What is credited on paper: never more than is left of the invoice. Raises InvoiceVoid,
    CreditExceedsInvoice, NothingToCredit.

    ``earlier``: how many credit notes there are. The invoice and each of them may have been rounded
    by half a unit, so what is left on paper may be a little less than what was charged.
    """
    if invoice.status == VOID:
        raise invoices.InvoiceVoid()
    left, unit = invoice.total - invoice.credited, invoice.unit
    if amount <= 0 or amount - left > (unit - 1) * (earlier + 2) // 2:
        raise CreditExceedsInvoice(left=format_money(left, invoice.currency))
    total = min(divide(amount, unit) * unit, left)
    if total <= 0:
        raise NothingToCredit(minimum=format_money(unit, invoice.currency))
    return total


def _next_number(account: Account) -> str:
    account.credit_notes += 1
    return f"{number_prefix(account.organization_id)}-C{account.credit_notes:04d}"


def _transfers(account: Account, invoice: Invoice, amount: int, total: int) -> list[Transfer]:
    """``amount``: the revenue that is given back; ``total``: what is credited, rounded."""
    already_paid = total - min(total, invoice.open)
    transfers = []
    if already_paid:
        transfers.append(Transfer(Code.INVOICED, Code.SURPLUS, already_paid, invoice.id))
    transfers.append(Transfer(Code.REVENUE, Code.INVOICED, min(amount, total), invoice.id))
    if amount > total:
        transfers.append(Transfer(Code.REVENUE, Code.ROUNDING, amount - total))
    elif amount < total:
        transfers.append(Transfer(Code.ROUNDING, Code.INVOICED, total - amount, invoice.id))
    if already_paid and account.payment_mode == PREPAID:
        transfers.append(Transfer(Code.SURPLUS, Code.PREPAID, already_paid))
    return transfers


def _taxes(
    invoice: Invoice, notes: Sequence[CreditNote], amount: int, total: int, rates: Rates | None
) -> tuple[Tax, ...]:
    """The taxes in what is credited, so that all credit notes of an invoice together never contain
    more than it does, and exactly as much once all of it is credited."""
    left = taxes_of(invoice.taxes)
    for note in notes:
        left = subtract(left, taxes_of(note.taxes))
    uncredited = invoice.total - sum(note.amount for note in notes)
    if rates is None or total == uncredited:
        return share_of(left, total, uncredited, invoice.unit)
    return at_most(break_down({rates: amount}, invoice.unit), left)


def _about(session: Session, account: Account) -> dict[str, Any]:
    seller = queries.sellers(session, {account.provider_id})[account.provider_id]
    return {"seller": seller_shown(seller), "buyer": buyer_shown(account)}


def _record(
    session: Session,
    account: Account,
    invoice: Invoice,
    note: CreditNote,
    *,
    by: Actor,
    now: datetime,
) -> None:
    currency = invoice.currency
    invoices.record_action(
        session,
        invoice,
        "invoice.credited",
        by=by,
        now=now,
        reason=note.reason,
        changes=[
            {
                "field": "credited",
                "before": format_money(invoice.credited, currency),
                "after": format_money(invoice.credited + note.amount, currency),
            }
        ],
    )
    outbox.publish(
        session,
        messages.CreditNoteIssued(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            invoice_id=invoice.id,
            transaction_id=note.transaction_id,
            number=note.number,
            currency=currency,
            amount=format_money(note.amount, currency),
            tax=format_money(note.tax, currency),
            reason=note.reason,
        ),
    )
