"""Reading payments and their allocation to invoices."""

from collections.abc import Sequence
from typing import Any

from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.models import Account, Invoice, Payment, Source
from billing.queries.allocations import Share, shares, sources
from billing.values import format_money

MAX_EDITS = 5


class NoPayment(NotFound):
    code = "not_found"
    detail = "There is no such payment on this account."


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
    source_ids = [payment.transaction_id for payment in payments]
    known = sources(session, account.organization_id, source_ids)
    paid = shares(session, account.organization_id, source_ids)
    return [
        _show(
            payment, account.currency, known[payment.transaction_id], paid[payment.transaction_id]
        )
        for payment in payments
    ]


def assigned_invoice_ids(shown: dict[str, Any]) -> list[str]:
    """What a payment's ETag covers: the invoices that it is assigned to."""
    return [allocation["invoice_id"] for allocation in shown["invoices"]]


def _show(payment: Payment, currency: str, source: Source, paid: Sequence[Share]) -> dict[str, Any]:
    def money(amount: int) -> str:
        return format_money(amount, currency)

    return {
        "id": payment.id,
        "organization_id": payment.organization_id,
        "amount": money(payment.amount),
        "currency": currency,
        "method": payment.method,
        "reference": payment.reference,
        "received_on": payment.received_on,
        "status": payment.status,
        "assigned": money(sum(share.amount for share in paid)),
        "unassigned": money(source.unassigned),
        "invoices": [{**share._asdict(), "amount": money(share.amount)} for share in paid],
        "edits_left": MAX_EDITS - payment.edits,
        "created_at": payment.created_at,
        "transaction_id": payment.transaction_id,
    }
