"""What can be known about payments."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from billing.models import Account, Entry, Invoice, Payment
from billing.values import Code, format_money

MAX_EDITS = 5
# What rows that carry a payment and an invoice have allocations of the one to the other.
_SHARE = func.sum(case((Entry.credit == Code.INVOICED, Entry.amount), else_=-Entry.amount))


class NoPayment(NotFound):
    code = "not_found"
    detail = "There is no such payment on this account."


class Allocation(NamedTuple):
    """How much of a payment an invoice has."""

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


def payment(session: Session, organization_id: str, payment_id: str) -> Payment:
    """One payment. Raises NoPayment."""
    found = (
        session.get(Payment, (organization_id, payment_id))
        if ids.is_id("pay", payment_id)
        else None
    )
    if found is None:
        raise NoPayment()
    return found


def allocations(
    session: Session, organization_id: str, payment_ids: Sequence[str]
) -> dict[str, list[Allocation]]:
    """Which invoices have how much of these payments, oldest first: folded from the journal's rows
    that carry both ids."""
    found: dict[str, list[Allocation]] = {payment_id: [] for payment_id in payment_ids}
    for row in session.execute(
        select(Entry.payment_id, Invoice.id, Invoice.number, _SHARE)
        .join(
            Invoice,
            (Invoice.organization_id == Entry.organization_id) & (Invoice.id == Entry.invoice_id),
        )
        .where(Entry.organization_id == organization_id, Entry.payment_id.in_(payment_ids))
        .group_by(Entry.payment_id, Invoice.id, Invoice.number)
        .having(_SHARE != 0)
        .order_by(Invoice.id)
    ):
        found[row[0]].append(Allocation(row[1], row[2], int(row[3])))
    return found


def payments_of(session: Session, invoice: Invoice) -> list[tuple[str, int]]:
    """The payments that have paid for an invoice, newest first, and how much."""
    found = session.execute(
        select(Entry.payment_id, _SHARE)
        .where(Entry.organization_id == invoice.organization_id, Entry.invoice_id == invoice.id)
        .group_by(Entry.payment_id)
        .having(_SHARE != 0)
        .order_by(Entry.payment_id.desc())
    )
    return [(payment_id, int(share)) for payment_id, share in found if payment_id is not None]


def invoices_by_id(
    session: Session, organization_id: str, invoice_ids: Sequence[str]
) -> dict[str, Invoice]:
    """Those of these invoices that are the organization's."""
    wanted = select(Invoice).where(
        Invoice.organization_id == organization_id, Invoice.id.in_(invoice_ids)
    )
    return {invoice.id: invoice for invoice in session.scalars(wanted)} if invoice_ids else {}


def show_payments(
    session: Session, account: Account, found: Sequence[Payment]
) -> list[dict[str, Any]]:
    """Payments as people see them."""
    shares = (
        allocations(session, account.organization_id, [row.id for row in found]) if found else {}
    )
    return [_show(row, account.currency, shares[row.id]) for row in found]


def assigned_invoice_ids(shown: dict[str, Any]) -> list[str]:
    """What a payment's ETag covers: the invoices it is allocations to."""
    return [share["invoice_id"] for share in shown["invoices"]]


def _show(row: Payment, currency: str, shares: list[Allocation]) -> dict[str, Any]:
    def money(amount: int) -> str:
        return format_money(amount, currency)

    total = sum(share.amount for share in shares)
    return {
        "id": row.id,
        "organization_id": row.organization_id,
        "amount": money(row.amount),
        "currency": currency,
        "method": row.method,
        "reference": row.reference,
        "received_on": row.received_on,
        "status": row.status,
        "assigned": money(total),
        "unassigned": money(row.amount - total if row.status == "received" else 0),
        "invoices": [{**share._asdict(), "amount": money(share.amount)} for share in shares],
        "edits_left": MAX_EDITS - row.edits,
        "created_at": row.created_at,
        "transaction_id": row.transaction_id,
    }
