"""Allocating payments and credits to invoices, under the account's lock.

``paid`` and ``credited`` of an invoice are the sums of the journal rows with its id; nothing else
writes them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.models import Account, Entry, Invoice
from billing.models.drafts import Draft
from billing.models.invoice import AWAITING_ONLY
from billing.values import AWAITING, OWN, PAID, Code, Transfer, format_money


def open_invoices(session: Session, account: Account) -> list[Invoice]:
    """The invoices with a balance due, oldest first."""
    query = select(Invoice).where(
        Invoice.organization_id == account.organization_id, text(AWAITING_ONLY)
    )
    return list(session.scalars(query.order_by(Invoice.id)))


def pay_from_surplus(invoices: Iterable[Invoice | Draft], available: int) -> list[Transfer]:
    """Pay the invoices in their order, until ``available`` is used up."""
    return settle(Code.SURPLUS, invoices, available)


def settle(
    source: Code,
    invoices: Iterable[Invoice | Draft],
    available: int,
    source_id: str | None = None,
) -> list[Transfer]:
    """Settle the invoices from ``source`` in their order, until ``available`` is used up.
    ``source_id``: the transaction whose surplus pays; None: the oldest surplus."""
    transfers = []
    for invoice in invoices:
        part = min(available, invoice.open)
        if part:
            transfers.append(Transfer(source, Code.INVOICED, part, invoice.id, source_id))
            available -= part
    return transfers


def deposit(source: Code, invoices: Iterable[Invoice], amount: int) -> list[Transfer]:
    """Receive money from ``source`` as surplus and pay the invoices from it, in their order."""
    return [
        Transfer(source, Code.SURPLUS, amount),
        *settle(Code.SURPLUS, invoices, amount, OWN),
    ]


def allocated(session: Session, organization_id: str, source_id: str) -> dict[str, int]:
    """By invoice, what the source has paid of it."""
    shares = queries.shares(session, organization_id, [source_id])[source_id]
    return {share.invoice_id: share.amount for share in shares}


def deallocate(source_id: str, shares: Mapping[str, int]) -> list[Transfer]:
    """Return these amounts from the invoices to the source."""
    return [
        Transfer(Code.INVOICED, Code.SURPLUS, amount, invoice_id, source_id)
        for invoice_id, amount in shares.items()
    ]


def update_invoices(
    session: Session, account: Account, rows: Sequence[Entry], now: datetime
) -> None:
    """Apply posted rows to the invoices they name, and publish those that are now paid. If one of
    them was due before, the balance is published with what is overdue then."""
    changed = update_invoices_of(session, [account.organization_id], rows, now)
    if any(invoice.due_until <= now for invoice in changed):
        notifications.publish_balance_soon(session, account)


def update_invoices_of(
    session: Session,
    organization_ids: Collection[str],
    transfers: Iterable[Entry | Transfer],
    now: datetime,
) -> Collection[Invoice]:
    """The same for what was posted to several accounts, without the balances; returns the invoices
    that were changed."""
    effects = [
        (each.invoice_id, *_effect(each)) for each in transfers if each.invoice_id is not None
    ]
    changed = {invoice_id for invoice_id, paid, credited in effects if paid or credited}
    if not changed:
        return ()
    query = select(Invoice).where(
        Invoice.organization_id.in_(organization_ids), Invoice.id.in_(sorted(changed))
    )
    invoices = {invoice.id: invoice for invoice in session.scalars(query)}
    for invoice_id, paid, credited in effects:
        if invoice_id in changed:
            invoices[invoice_id].paid += paid
            invoices[invoice_id].credited += credited
    for _, invoice in sorted(invoices.items()):
        _update_status(session, invoice, now)
    return invoices.values()


def _effect(transfer: Entry | Transfer) -> tuple[int, int]:
    """What it adds to ``paid`` and to ``credited``; issuing and voiding add to neither."""
    if transfer.credit == Code.INVOICED:
        other, signed = transfer.debit, transfer.amount
    elif transfer.debit == Code.INVOICED:
        other, signed = transfer.credit, -transfer.amount
    else:
        return 0, 0
    if other == Code.UNBILLED:
        return 0, 0
    if other == Code.SURPLUS:
        return signed, 0
    return 0, signed


def _update_status(session: Session, invoice: Invoice, now: datetime) -> None:
    before = invoice.status
    if invoice.open:
        invoice.status = AWAITING
        invoice.paid_at = None
        return
    invoice.status = PAID
    if before == PAID:
        return
    invoice.paid_at = now
    outbox.publish(
        session,
        messages.InvoicePaid(
            organization_id=invoice.organization_id,
            provider_id=invoice.provider_id,
            invoice_id=invoice.id,
            number=invoice.number,
            currency=invoice.currency,
            total=format_money(invoice.total, invoice.currency),
        ),
    )
