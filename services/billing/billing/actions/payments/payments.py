"""Recording payments."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict, invalid
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, payment_methods, wallet
from billing.actions.ledger import posting
from billing.actions.payments import allocation, chosen_invoices
from billing.models import Account, Entry, Payment
from billing.values import POSTPAID, local_day


class AccountPrepaid(Conflict):
    code = "account_prepaid"
    detail = "This account is prepaid and has no invoices to pay. Top it up instead."


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
    """Record money received for the oldest invoices, or those named in their order.

    Any excess stays as surplus. Returns the payment. Raises NoAccount, AccountClosed,
    AccountPrepaid, PaymentMethodMissing, ProviderCreditsInsufficient, InvoiceNotPayable,
    AmountTooLarge, Invalid.
    """
    account = wallet.lock_for_deposit(session, organization_id, method)
    check_postpaid(account)
    received_on = _check_day(account, received_on, now)
    invoices = chosen_invoices.to_pay(session, account, invoice_ids)
    source = payment_methods.check(account, method)
    wallet.check_provider_funds(session, account, method, amount)
    payment_id = ids.new("pay")
    rows = posting.post(
        session,
        account,
        allocation.deposit(source, invoices, amount),
        kind="payment",
        now=now,
        by=by,
        payment_id=payment_id,
        method=method,
        reference=reference,
        description=f"Payment by {payment_methods.method_label(method)}",
    )
    payment = _new_payment(rows[0], payment_id, amount, received_on, now)
    session.add(payment)
    audit_log.record_transaction(session, account, "account.payment_recorded", rows, by=by, now=now)
    shown = show(session, account, payment)
    _publish_received(session, account, shown)
    allocation.update_invoices(session, account, rows, now)
    return shown


def _new_payment(
    row: Entry, payment_id: str, amount: int, received_on: date, now: datetime
) -> Payment:
    return Payment(
        organization_id=row.organization_id,
        id=payment_id,
        transaction_id=row.transaction_id,
        amount=amount,
        method=row.method,
        reference=row.reference,
        received_on=received_on,
        status="received",
        edits=0,
        created_at=now,
    )


def check_postpaid(account: Account) -> None:
    """Raise AccountPrepaid if the account is prepaid."""
    if account.payment_mode != POSTPAID:
        raise AccountPrepaid()


def show(session: Session, account: Account, payment: Payment) -> dict[str, Any]:
    """The payment as the API returns it."""
    (shown,) = queries.show_payments(session, account, [payment])
    return shown


def _check_day(account: Account, received_on: date | None, now: datetime) -> date:
    today = local_day(now, account.timezone)
    if received_on is not None and received_on > today:
        raise invalid("/received_on", "future", "Must not be in the future.")
    return received_on or today


def _publish_received(session: Session, account: Account, shown: dict[str, Any]) -> None:
    outbox.publish(
        session,
        messages.PaymentReceived(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            payment_id=shown["id"],
            amount=shown["amount"],
            currency=account.currency,
            method=shown["method"],
            received_on=shown["received_on"].isoformat(),
            unassigned=shown["unassigned"],
        ),
    )
