"""Money that comes in and goes out by hand: top-ups and withdrawals."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import payment_methods, providers
from billing.actions.charges import credit_check
from billing.actions.ledger import posting
from billing.models import Account
from billing.values import ISSUE, Transfer, format_money


class ProviderCreditsInsufficient(Conflict):
    code = "provider_credits_insufficient"
    detail = "Your usable credits do not cover this amount. Top up your wallet first."


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
    """Credit the account with money that came by ``method``; the transaction.

    Raises NoAccount, AccountClosed, PaymentMethodMissing, ProviderCreditsInsufficient,
    AmountTooLarge."""
    account = lock_for_deposit(session, organization_id, method)
    source = payment_methods.check(account, method)
    check_provider_funds(session, account, method, amount)
    account.last_top_up = amount
    rows = posting.post(
        session,
        account,
        [Transfer(source, account.deposit_bucket, amount)],
        kind="top_up",
        now=now,
        method=method,
        reference=reference,
        remark=remark,
        description=f"Top-up by {payment_methods.method_label(method)}",
    )
    posting.record_transaction(session, account, "account.topped_up", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)


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
    """Pay money out; the transaction. Raises NoAccount, AccountClosed, PaymentMethodMissing,
    InsufficientCredits."""
    account = posting.lock_account(session, organization_id)
    goes_to = payment_methods.check(account, method)
    credit_check.check_withdrawable(session, account, amount, now)
    rows = posting.post(
        session,
        account,
        [Transfer(account.deposit_bucket, goes_to, amount)],
        kind="withdrawal",
        now=now,
        method=method,
        reference=reference,
        reason=reason,
        description=f"Withdrawal by {payment_methods.method_label(method)}",
    )
    posting.record_transaction(session, account, "account.withdrawn", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)


def lock_for_deposit(session: Session, organization_id: str, method: str | None) -> Account:
    """The account, locked, to be credited by ``method``: what the provider issues it takes from its
    own wallet, whose lock comes first. Raises NoAccount, AccountClosed."""
    if method == ISSUE:
        providers.lock_wallet_of(session, organization_id)
    return posting.lock_account(session, organization_id)


def check_provider_funds(
    session: Session, account: Account, method: str | None, amount: int
) -> None:
    """Raise ProviderCreditsInsufficient when more is issued than the provider has. Its wallet is
    locked."""
    if method != ISSUE:
        return
    usable = queries.wallet_balance(session, account.provider_id, account.currency).usable
    if amount > usable:
        raise ProviderCreditsInsufficient(
            shortfall=format_money(amount - usable, account.currency),
            usable=format_money(usable, account.currency),
        )
