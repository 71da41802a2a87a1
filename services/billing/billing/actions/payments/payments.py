"""Payments: money that comes in for invoices, and which invoices it is for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict, invalid
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import payment_methods
from billing.actions.charges import top_ups
from billing.actions.ledger import posting
from billing.actions.payments import allocation
from billing.models import Account, Invoice, Payment
from billing.values import AWAITING, POSTPAID, Code, Transfer, local_day


class AccountPrepaid(Conflict):
    code = "account_prepaid"
    detail = "This account is prepaid and has no invoices to pay. Top it up instead."


class InvoiceNotPayable(Conflict):
    code = "invoice_not_payable"
    detail = "This invoice is already paid or void. Leave it out."


class PaymentEditsExhausted(Conflict):
    code = "payment_edits_exhausted"
    detail = (
        "This payment has been reassigned five times, which is the limit. Reverse it and record it "
        "again."
    )


class PaymentReversed(Conflict):
    code = "payment_reversed"
    detail = "This payment was reversed. Record a new one."


def record_payment(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    method: str,
    now: datetime,
    by: Actor,
    reference: str | None = None,
    received_on: date | None = None,
    invoice_ids: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Take money for invoices, the oldest first or those named, in their order; the payment. What
    is over stays as surplus.

    Raises NoAccount, AccountClosed, AccountPrepaid, PaymentMethodMissing,
    ProviderCreditsInsufficient, InvoiceNotPayable, AmountTooLarge, Invalid."""
    account = top_ups.lock_for_deposit(session, organization_id, method)
    _check_postpaid(account)
    received_on = _check_day(account, received_on, now)
    if invoice_ids is None:
        invoices = allocation.open_invoices(session, account)
    else:
        invoices = _chosen(session, account, invoice_ids, {})
    source = payment_methods.check(account, method)
    top_ups.check_provider_funds(session, account, method, amount)
    payment_id = ids.new("pay")
    rows = posting.post(
        session,
        account,
        [Transfer(source, Code.SURPLUS, amount), *allocation.pay_from_surplus(invoices, amount)],
        kind="payment",
        now=now,
        payment_id=payment_id,
        method=method,
        reference=reference,
        description=f"Payment by {payment_methods.method_label(method)}",
    )
    payment = Payment(
        organization_id=organization_id,
        id=payment_id,
        transaction_id=rows[0].transaction_id,
        amount=amount,
        method=method,
        reference=reference,
        received_on=received_on,
        status="received",
        edits=0,
        created_at=now,
    )
    session.add(payment)
    posting.record_transaction(session, account, "account.payment_recorded", rows, by=by, now=now)
    shown = _show(session, account, payment)
    outbox.publish(
        session,
        said.PaymentReceived(
            organization_id=organization_id,
            provider_id=account.provider_id,
            payment_id=payment_id,
            amount=shown["amount"],
            currency=account.currency,
            method=method,
            received_on=received_on.isoformat(),
            unassigned=shown["unassigned"],
        ),
    )
    allocation.update_invoices(session, account, rows, now)
    return shown


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
    """Assign a payment to the invoices the patch names, in their order, instead of those it is
    assigned to; the payment. Where that changes nothing, nothing is posted and it is no edit.
    ``check`` is handed the invoices as they stand and raises when the caller thought otherwise.

    Raises NoAccount, NoPayment, AccountClosed, AccountPrepaid, PaymentReversed,
    PaymentEditsExhausted, InvoiceNotPayable, Invalid."""
    account = posting.lock_account(session, organization_id)
    payment = queries.get_payment(session, organization_id, payment_id)
    shown = _show(session, account, payment)
    check(queries.assigned_invoice_ids(shown))
    if "invoice_ids" not in patch:
        return shown
    _check_postpaid(account)
    if payment.status != "received":
        raise PaymentReversed()
    before = assigned(session, payment)
    chosen = _chosen(session, account, patch["invoice_ids"], before)
    available = min(payment.amount, sum(before.values()) + account.surplus)
    transfers = _differences(before, _shares(chosen, before, available))
    if not transfers:
        return shown
    if payment.edits >= queries.MAX_EDITS:
        raise PaymentEditsExhausted()
    payment.edits += 1
    rows = posting.post(
        session,
        account,
        transfers,
        kind="reassignment",
        now=now,
        payment_id=payment_id,
        description="Payment assigned anew",
    )
    after = _show(session, account, payment)
    posting.record(
        session,
        account,
        "account.payment_assigned",
        by=by,
        now=now,
        target={"type": "payment", "id": payment_id, "label": rows[0].description},
        changes=[{"field": "invoices", "before": shown["invoices"], "after": after["invoices"]}],
    )
    allocation.update_invoices(session, account, rows, now)
    return after


def assigned(session: Session, payment: Payment) -> dict[str, int]:
    """What each invoice has of this payment."""
    shares = queries.allocations(session, payment.organization_id, [payment.id])[payment.id]
    return {share.invoice_id: share.amount for share in shares}


def release(shares: Mapping[str, int]) -> list[Transfer]:
    """What takes their shares of a payment from the invoices, back into the surplus."""
    return [
        Transfer(Code.INVOICED, Code.SURPLUS, amount, invoice_id)
        for invoice_id, amount in shares.items()
    ]


def _check_postpaid(account: Account) -> None:
    if account.payment_mode != POSTPAID:
        raise AccountPrepaid()


def _check_day(account: Account, received_on: date | None, now: datetime) -> date:
    today = local_day(now, account.timezone)
    if received_on is not None and received_on > today:
        raise invalid("/received_on", "future", "Must not be in the future.")
    return received_on or today


def _chosen(
    session: Session, account: Account, invoice_ids: Sequence[str], paid_already: Mapping[str, int]
) -> list[Invoice]:
    """The invoices with these ids, in their order; each must ask for something, or have some of
    this payment."""
    found = queries.invoices_by_id(session, account.organization_id, invoice_ids)
    for place, invoice_id in enumerate(invoice_ids):
        if invoice_id not in found:
            raise invalid(
                f"/invoice_ids/{place}", "unknown_invoice", "This customer has no such invoice."
            )
    for invoice_id in invoice_ids:
        if found[invoice_id].status != AWAITING and invoice_id not in paid_already:
            raise InvoiceNotPayable(invoice_id=invoice_id, number=found[invoice_id].number)
    return [found[invoice_id] for invoice_id in invoice_ids]


def _shares(
    invoices: Sequence[Invoice], before: Mapping[str, int], available: int
) -> dict[str, int]:
    """What each invoice gets, one after the other, once it has given back what it has of this
    payment."""
    shares = {}
    for invoice in invoices:
        shares[invoice.id] = min(available, invoice.open + before.get(invoice.id, 0))
        available -= shares[invoice.id]
    return shares


def _differences(before: Mapping[str, int], after: Mapping[str, int]) -> list[Transfer]:
    """What turns one assignment into the other: first what invoices give back, then what they
    get."""
    more = {
        invoice_id: after.get(invoice_id, 0) - before.get(invoice_id, 0)
        for invoice_id in {**before, **after}
    }
    given_back = release({invoice_id: -amount for invoice_id, amount in more.items() if amount < 0})
    return given_back + [
        Transfer(Code.SURPLUS, Code.INVOICED, amount, invoice_id)
        for invoice_id, amount in more.items()
        if amount > 0
    ]


def _show(session: Session, account: Account, payment: Payment) -> dict[str, Any]:
    (shown,) = queries.show_payments(session, account, [payment])
    return shown
