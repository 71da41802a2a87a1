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
from billing.models.drafts import number_prefix
from billing.values import PREPAID, VOID, Code, Transfer, extract_tax, format_money


class CreditExceedsInvoice(Conflict):
    code = "credit_exceeds_invoice"
    detail = (
        "The credit is higher than what is left of this invoice. Credit no more than the remaining "
        "amount."
    )


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

    Raises NoAccount, NoInvoice, AccountClosed, InvoiceVoid, CreditExceedsInvoice, AmountTooLarge.
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
    extra: Sequence[Transfer] = (),
    **fields: Any,
) -> list[Entry]:
    """Issue a credit note, publish the balance, and return the rows of the journal.

    It lowers the balance due. What was paid of it is deallocated and becomes surplus, or goes into
    the wallet of an account that has become prepaid. ``extra``: transfers posted with it.
    ``fields``: further columns of the first row. Raises InvoiceVoid, CreditExceedsInvoice,
    AmountTooLarge.
    """
    _check_creditable(invoice, amount)
    number = _next_number(account)
    fields.setdefault("description", f"Credit note {number} for invoice {invoice.number}")
    transfers = [*_transfers(account, invoice, amount), *extra]
    rows = posting.post(
        session, account, transfers, kind=kind, now=now, by=by, reason=reason, **fields
    )
    note = _note_of(session, invoice, rows[0], number, amount, reason=reason, now=now)
    session.add(note)
    _record(session, account, invoice, note, by=by, now=now)
    allocation.update_invoices(session, account, rows, now)
    notifications.publish_balance(session, account, now=now)
    return rows


def _check_creditable(invoice: Invoice, amount: int) -> None:
    left = invoice.total - invoice.credited
    if invoice.status == VOID:
        raise invoices.InvoiceVoid()
    if not 0 < amount <= left:
        raise CreditExceedsInvoice(left=format_money(left, invoice.currency))


def _next_number(account: Account) -> str:
    account.credit_notes += 1
    return f"{number_prefix(account.organization_id)}-C{account.credit_notes:04d}"


def _transfers(account: Account, invoice: Invoice, amount: int) -> list[Transfer]:
    already_paid = amount - min(amount, invoice.open)
    transfers = []
    if already_paid:
        transfers.append(Transfer(Code.INVOICED, Code.SURPLUS, already_paid, invoice.id))
    transfers.append(Transfer(Code.REVENUE, Code.INVOICED, amount, invoice.id))
    if already_paid and account.payment_mode == PREPAID:
        transfers.append(Transfer(Code.SURPLUS, Code.PREPAID, already_paid))
    return transfers


def _note_of(
    session: Session,
    invoice: Invoice,
    entry: Entry,
    number: str,
    amount: int,
    *,
    reason: str,
    now: datetime,
) -> CreditNote:
    return CreditNote(
        organization_id=entry.organization_id,
        transaction_id=entry.transaction_id,
        provider_id=entry.provider_id,
        invoice_id=invoice.id,
        number=number,
        amount=amount,
        tax=_tax_share(session, invoice, amount),
        reason=reason,
        issued_at=now,
    )


def _tax_share(session: Session, invoice: Invoice, amount: int) -> int:
    """The tax in a part of the invoice.

    It is the difference of the tax in all credit notes before and after this one, so that together
    they contain exactly the tax of the whole.
    """
    if invoice.tax_rate is None:
        return 0
    before = queries.credited_by_notes(session, invoice)
    return extract_tax(before + amount, invoice.tax_rate) - extract_tax(before, invoice.tax_rate)


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
