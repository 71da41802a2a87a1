"""What invoices ask for, and what settles it. All of it under the account's lock.

``paid`` and ``credited`` of an invoice are the sum of the rows in the journal that carry its id, and nothing else
writes them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from chassis.messaging import outbox
from contracts import billing as said
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing import queries
from billing.models import Account, Entry, Invoice
from billing.models.invoice import AWAITING_ONLY
from billing.values import AWAITING, PAID, Code, Transfer, format_money


def open_invoices(session: Session, account: Account) -> list[Invoice]:
    """The invoices that still ask for something, oldest first."""
    wanted = select(Invoice).where(
        Invoice.organization_id == account.organization_id, text(AWAITING_ONLY)
    )
    return list(session.scalars(wanted.order_by(Invoice.id)))


def pay_from_surplus(invoices: Iterable[Invoice], available: int) -> list[Transfer]:
    """What pays these invoices from the surplus, one after the other, until ``available`` is used
    up."""
    return settle(Code.SURPLUS, invoices, available)


def settle(source: Code, invoices: Iterable[Invoice], available: int) -> list[Transfer]:
    """What takes ``available`` off what these invoices ask for, one after the other, out of
    ``source``."""
    transfers = []
    for invoice in invoices:
        part = min(available, invoice.open)
        if part:
            transfers.append(Transfer(source, Code.INVOICED, part, invoice.id))
            available -= part
    return transfers


def deallocate(session: Session, invoice: Invoice, amount: int) -> list[Transfer]:
    """What takes an amount of what is paid from an invoice, back into the surplus: first of what
    the surplus had paid by itself, then of the newest payments, so that each still says what it has
    paid."""
    payers = queries.payments_of(session, invoice)
    by_itself = invoice.paid - sum(share for _, share in payers)
    transfers = []
    for payment_id, share in [(None, by_itself), *payers]:
        part = min(amount, share)
        if part:
            transfers.append(Transfer(Code.INVOICED, Code.SURPLUS, part, invoice.id, payment_id))
            amount -= part
    return transfers


def update_invoices(
    session: Session, account: Account, rows: Sequence[Entry], now: datetime
) -> None:
    """Carry posted rows over to the invoices they name, and publish which are paid by that."""
    effects = [(row.invoice_id, *_effect(row)) for row in rows if row.invoice_id is not None]
    touched = {invoice_id for invoice_id, paid, credited in effects if paid or credited}
    if not touched:
        return
    wanted = select(Invoice).where(
        Invoice.organization_id == account.organization_id, Invoice.id.in_(sorted(touched))
    )
    invoices = {invoice.id: invoice for invoice in session.scalars(wanted)}
    for invoice_id, paid, credited in effects:
        if invoice_id in touched:
            invoices[invoice_id].paid += paid
            invoices[invoice_id].credited += credited
    for _, invoice in sorted(invoices.items()):
        _settle(session, account, invoice, now)


def _effect(row: Entry) -> tuple[int, int]:
    """What a row adds to what is paid and to what is credited. Issuing an invoice and voiding it do
    neither."""
    other, sign = (row.debit, 1) if row.credit == Code.INVOICED else (row.credit, -1)
    if Code.INVOICED not in (row.debit, row.credit) or other == Code.UNBILLED:
        return 0, 0
    return (sign * row.amount, 0) if other == Code.SURPLUS else (0, sign * row.amount)


def _settle(session: Session, account: Account, invoice: Invoice, now: datetime) -> None:
    before, invoice.status = invoice.status, AWAITING if invoice.open else PAID
    if invoice.status == AWAITING:
        invoice.paid_at = None
    elif before != PAID:
        invoice.paid_at = now
        outbox.publish(
            session,
            said.InvoicePaid(
                organization_id=account.organization_id,
                provider_id=account.provider_id,
                invoice_id=invoice.id,
                number=invoice.number,
                currency=invoice.currency,
                total=format_money(invoice.total, invoice.currency),
            ),
        )
