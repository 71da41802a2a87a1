"""Reading payments and their allocation to invoices."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.models import Account, Entry, Invoice, Payment
from billing.queries.invoices import SETTLED
from billing.values import format_money

MAX_EDITS = 5


class NoPayment(NotFound):
    code = "not_found"
    detail = "There is no such payment on this account."


class Allocation(NamedTuple):
    """The part of a payment allocated to an invoice."""

    invoice_id: str
    number: str
    amount: int


def payments(organization_id: str) -> Select[Any]:
    """An organization's payments, newest first."""
    return (
        select(Payment)
        .where(Payment.organization_id == organization_id)
        .order_by(Payment.id.desc())
    )


def get_payment(session: Session, organization_id: str, payment_id: str) -> Payment:
    """One payment. Raises NoPayment."""
    if not ids.is_id("pay", payment_id):
        raise NoPayment()
    payment = session.get(Payment, (organization_id, payment_id))
    if payment is None:
        raise NoPayment()
    return payment


def allocations(
    session: Session, organization_id: str, payment_ids: Sequence[str]
) -> dict[str, list[Allocation]]:
    """By payment, its allocation to invoices, oldest invoice first; read from the journal."""
    rows = session.execute(
        select(Entry.payment_id, Invoice.id, Invoice.number, SETTLED)
        .join(
            Invoice,
            (Invoice.organization_id == Entry.organization_id) & (Invoice.id == Entry.invoice_id),
        )
        .where(Entry.organization_id == organization_id, Entry.payment_id.in_(payment_ids))
        .group_by(Entry.payment_id, Invoice.id, Invoice.number)
        .having(SETTLED != 0)
        .order_by(Invoice.id)
    )
    by_payment: dict[str, list[Allocation]] = {payment_id: [] for payment_id in payment_ids}
    for payment_id, invoice_id, number, amount in rows:
        by_payment[str(payment_id)].append(Allocation(invoice_id, number, int(amount)))
    return by_payment


def payments_of(session: Session, invoice: Invoice) -> list[tuple[str, int]]:
    """The payments allocated to an invoice, newest first, and their amounts."""
    rows = session.execute(
        select(Entry.payment_id, SETTLED)
        .where(Entry.organization_id == invoice.organization_id, Entry.invoice_id == invoice.id)
        .group_by(Entry.payment_id)
        .having(SETTLED != 0)
        .order_by(Entry.payment_id.desc())
    )
    return [(payment_id, int(amount)) for payment_id, amount in rows if payment_id is not None]


def invoices_by_id(
    session: Session, organization_id: str, invoice_ids: Sequence[str]
) -> dict[str, Invoice]:
    """Those of these invoices that belong to the organization."""
    if not invoice_ids:
        return {}
    query = select(Invoice).where(
        Invoice.organization_id == organization_id, Invoice.id.in_(invoice_ids)
    )
    return {invoice.id: invoice for invoice in session.scalars(query)}


def show_payments(
    session: Session, account: Account, payments: Sequence[Payment]
) -> list[dict[str, Any]]:
    """Payments as the API returns them."""
    if not payments:
        return []
    payment_ids = [payment.id for payment in payments]
    by_payment = allocations(session, account.organization_id, payment_ids)
    return [_show(payment, account.currency, by_payment[payment.id]) for payment in payments]


def assigned_invoice_ids(shown: dict[str, Any]) -> list[str]:
    """What a payment's ETag covers: the invoices that it is assigned to."""
    return [allocation["invoice_id"] for allocation in shown["invoices"]]


def _show(payment: Payment, currency: str, allocated: list[Allocation]) -> dict[str, Any]:
    def money(amount: int) -> str:
        return format_money(amount, currency)

    total = sum(allocation.amount for allocation in allocated)
    unassigned = payment.amount - total if payment.status == "received" else 0
    return {
        "id": payment.id,
        "organization_id": payment.organization_id,
        "amount": money(payment.amount),
        "currency": currency,
        "method": payment.method,
        "reference": payment.reference,
        "received_on": payment.received_on,
        "status": payment.status,
        "assigned": money(total),
        "unassigned": money(unassigned),
        "invoices": [
            {**allocation._asdict(), "amount": money(allocation.amount)} for allocation in allocated
        ],
        "edits_left": MAX_EDITS - payment.edits,
        "created_at": payment.created_at,
        "transaction_id": payment.transaction_id,
    }
