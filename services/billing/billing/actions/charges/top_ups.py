"""Topping up an account."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, payment_methods, wallet
from billing.actions.ledger import posting
from billing.actions.payments import allocation, chosen_invoices
from billing.models import Account, Invoice
from billing.values import PREPAID, Code, Transfer


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
    invoice_ids: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Credit the account with money paid by ``method``; returns the transaction.

    On a postpaid account it pays the oldest invoices, or those named in their order; any excess
    stays as surplus. Raises NoAccount, AccountClosed, PostpaidOnly, PaymentMethodMissing,
    ProviderCreditsInsufficient, InvoiceNotPayable, AmountTooLarge, Invalid.
    """
    account = wallet.lock_for_deposit(session, organization_id, method)
    invoices = chosen_invoices.to_pay(session, account, invoice_ids)
    source = payment_methods.check(account, method)
    wallet.check_provider_funds(session, account, method, amount)
    account.last_top_up = amount
    rows = posting.post(
        session,
        account,
        _transfers(account, source, invoices, amount),
        kind="top_up",
        now=now,
        by=by,
        method=method,
        reference=reference,
        remark=remark,
        description=f"Top-up by {payment_methods.method_label(method)}",
    )
    audit_log.record_transaction(session, account, "account.topped_up", rows, by=by, now=now)
    allocation.update_invoices(session, account, rows, now)
    return queries.show_transaction(rows, account.currency, staff=True)


def _transfers(
    account: Account, source: Code, invoices: Sequence[Invoice], amount: int
) -> list[Transfer]:
    if account.payment_mode == PREPAID:
        return [Transfer(source, Code.PREPAID, amount)]
    return allocation.deposit(source, invoices, amount)
