"""Assigning a payment to other invoices."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log
from billing.actions.ledger import posting
from billing.actions.payments import allocation, chosen_invoices
from billing.actions.payments.payments import check_postpaid, show
from billing.models import Account, Invoice, Payment
from billing.values import Code, Transfer


class PaymentEditsExhausted(Conflict):
    code = "payment_edits_exhausted"
    detail = (
        "This payment has been reassigned five times, which is the limit. Reverse it and record it "
        "again."
    )


class PaymentReversed(Conflict):
    code = "payment_reversed"
    detail = "This payment was reversed. Record a new one."


def assign_payment(
    session: Session,
    *,
    organization_id: str,
    payment_id: str,
    patch: dict[str, Any],
    check: Callable[[Any], None],
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Assign a payment to the invoices of the patch, in their order; returns the payment.

    If that changes nothing, nothing is posted and it does not count as an edit. ``check`` gets the
    current invoices and raises if the caller expected others. Raises NoAccount, NoPayment,
    AccountClosed, AccountPrepaid, PaymentReversed, PaymentEditsExhausted, InvoiceNotPayable,
    Invalid.
    """
    account = posting.lock_account(session, organization_id)
    payment = queries.get_payment(session, organization_id, payment_id)
    shown = show(session, account, payment)
    check(queries.assigned_invoice_ids(shown))
    if "invoice_ids" not in patch:
        return shown
    check_postpaid(account)
    if payment.status != "received":
        raise PaymentReversed()
    source_id = payment.transaction_id
    before = allocation.allocated(session, organization_id, source_id)
    invoices = chosen_invoices.get(session, account, patch["invoice_ids"], before)
    unassigned = queries.sources(session, organization_id, [source_id])[source_id].unassigned
    after = _new_shares(invoices, before, sum(before.values()) + unassigned)
    transfers = _reallocate(source_id, before, after)
    if not transfers:
        return shown
    if payment.edits >= queries.MAX_EDITS:
        raise PaymentEditsExhausted()
    payment.edits += 1
    return _post_reassignment(session, account, payment, transfers, before=shown, now=now, by=by)


def _post_reassignment(
    session: Session,
    account: Account,
    payment: Payment,
    transfers: Sequence[Transfer],
    *,
    before: Mapping[str, Any],
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    rows = posting.post(
        session,
        account,
        transfers,
        kind="reassignment",
        now=now,
        by=by,
        payment_id=payment.id,
        description="Payment reassigned",
    )
    after = show(session, account, payment)
    audit_log.record(
        session,
        account,
        "account.payment_assigned",
        by=by,
        now=now,
        target={"type": "payment", "id": payment.id, "label": rows[0].description},
        changes=[{"field": "invoices", "before": before["invoices"], "after": after["invoices"]}],
    )
    allocation.update_invoices(session, account, rows, now)
    return after


def _new_shares(
    invoices: Sequence[Invoice], before: Mapping[str, int], available: int
) -> dict[str, int]:
    """What each invoice gets, one after the other, once its current share is returned."""
    shares = {}
    for invoice in invoices:
        shares[invoice.id] = min(available, invoice.open + before.get(invoice.id, 0))
        available -= shares[invoice.id]
    return shares


def _reallocate(
    source_id: str, before: Mapping[str, int], after: Mapping[str, int]
) -> list[Transfer]:
    """Turn one allocation into the other: first the invoices that get less, then the others."""
    less: dict[str, int] = {}
    more: dict[str, int] = {}
    for invoice_id in {**before, **after}:
        change = after.get(invoice_id, 0) - before.get(invoice_id, 0)
        if change < 0:
            less[invoice_id] = -change
        elif change > 0:
            more[invoice_id] = change
    return allocation.deallocate(source_id, less) + [
        Transfer(Code.SURPLUS, Code.INVOICED, amount, invoice_id, source_id)
        for invoice_id, amount in more.items()
    ]
