"""Topping up an account."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, payment_methods, wallet
from billing.actions.ledger import posting
from billing.values import Transfer


def top_up(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    method: str,
    now: datetime,
    by: Actor,
    reference: str | None = None,
    remark: str | None = None,
) -> dict[str, Any]:
    """Credit the account with money paid by ``method``; returns the transaction.

    Raises NoAccount, AccountClosed, PaymentMethodMissing, ProviderCreditsInsufficient,
    AmountTooLarge.
    """
    account = wallet.lock_for_deposit(session, organization_id, method)
    source = payment_methods.check(account, method)
    wallet.check_provider_funds(session, account, method, amount)
    account.last_top_up = amount
    rows = posting.post(
        session,
        account,
        [Transfer(source, account.deposit_bucket, amount)],
        kind="top_up",
        now=now,
        by=by,
        method=method,
        reference=reference,
        remark=remark,
        description=f"Top-up by {payment_methods.method_label(method)}",
    )
    audit_log.record_transaction(session, account, "account.topped_up", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)
