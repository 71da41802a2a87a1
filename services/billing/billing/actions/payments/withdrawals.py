"""Withdrawing money from an account."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, payment_methods
from billing.actions.charges import credit_check
from billing.actions.ledger import posting
from billing.values import Transfer


def withdraw(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    method: str,
    reason: str,
    now: datetime,
    by: Actor,
    reference: str | None = None,
) -> dict[str, Any]:
    """Pay money out; returns the transaction.

    Raises NoAccount, AccountClosed, PaymentMethodMissing, InsufficientCredits.
    """
    account = posting.lock_account(session, organization_id)
    destination = payment_methods.check(account, method)
    credit_check.check_withdrawable(session, account, amount, now)
    rows = posting.post(
        session,
        account,
        [Transfer(account.deposit_bucket, destination, amount)],
        kind="withdrawal",
        now=now,
        by=by,
        method=method,
        reference=reference,
        reason=reason,
        description=f"Withdrawal by {payment_methods.method_label(method)}",
    )
    audit_log.record_transaction(session, account, "account.withdrawn", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)
