"""The invoices that money is for."""

from collections.abc import Mapping, Sequence

from chassis.errors import Conflict, invalid
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.payments import allocation
from billing.models import Account, Invoice
from billing.values import AWAITING, PREPAID


class InvoiceNotPayable(Conflict):
    code = "invoice_not_payable"
    detail = "This invoice is already paid or void. Leave it out."


class PostpaidOnly(Conflict):
    code = "postpaid_only"
    detail = "This account is prepaid, so it has no invoices to pay."


def to_pay(session: Session, account: Account, invoice_ids: Sequence[str] | None) -> list[Invoice]:
    """The invoices that money pays as it comes in: those named, or the oldest first; none if the
    account is prepaid. Raises PostpaidOnly, Invalid, InvoiceNotPayable."""
    if account.payment_mode == PREPAID:
        if invoice_ids is not None:
            raise PostpaidOnly()
        return []
    if invoice_ids is None:
        return allocation.open_invoices(session, account)
    return get(session, account, invoice_ids, {})


def get(
    session: Session,
    account: Account,
    invoice_ids: Sequence[str],
    already_allocated: Mapping[str, int],
) -> list[Invoice]:
    """The invoices with these ids, in their order.

    Each must have a balance due, or be in ``already_allocated`` (by invoice, the amount it has of
    this payment). Raises Invalid, InvoiceNotPayable.
    """
    invoices = queries.invoices_by_id(session, account.organization_id, invoice_ids)
    for index, invoice_id in enumerate(invoice_ids):
        if invoice_id not in invoices:
            raise invalid(
                f"/invoice_ids/{index}", "unknown_invoice", "This customer has no such invoice."
            )
    for invoice_id in invoice_ids:
        invoice = invoices[invoice_id]
        if invoice.status != AWAITING and invoice_id not in already_allocated:
            raise InvoiceNotPayable(invoice_id=invoice_id, number=invoice.number)
    return [invoices[invoice_id] for invoice_id in invoice_ids]
