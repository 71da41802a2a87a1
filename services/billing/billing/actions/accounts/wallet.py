"""A provider's wallet: topping it up, reversing that, and issuing credits from it to customers."""

from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from chassis.errors import Conflict, NotFound, invalid
from chassis.runtime import ids
from contracts import billing as messages
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts.providers import lock_provider
from billing.actions.ledger import posting
from billing.actions.ledger.refusals import AlreadyReversed, AmountTooLarge, NotReversible
from billing.models import Account, Entry, Provider
from billing.values import ISSUE, MAX_AMOUNT, MAX_STORED, Code, format_money, is_currency

TOP_UP = "wallet_top_up"
_BELONGS_TO_CUSTOMERS = (
    "Your usable credits do not cover this top-up, because customers have a part of it. Withdraw "
    "that from them first, or top up your wallet."
)


class NoWallet(NotFound):
    code = "not_found"
    detail = "Your wallet is not set up yet. Try again in a moment."


class ProviderCreditsInsufficient(Conflict):
    code = "provider_credits_insufficient"
    detail = "Your usable credits do not cover this amount. Top up your wallet first."


def top_up_wallet(
    session: Session,
    *,
    provider_id: str,
    amount: int,
    method: str,
    now: datetime,
    by: Actor,
    currency: str | None = None,
    reference: str | None = None,
    remark: str | None = None,
) -> dict[str, Any]:
    """Add to the provider's own balance at the platform; returns the transaction.

    Raises NoWallet, Invalid, AmountTooLarge.
    """
    provider = session.scalars(
        select(Provider).where(Provider.id == provider_id).with_for_update()
    ).one_or_none()
    if provider is None or provider.currency is None:
        raise NoWallet()
    currency = currency or provider.currency
    if not is_currency(currency):
        raise invalid("/currency", "currency", "Must be an ISO 4217 currency code.")
    balance = queries.wallet_balance(session, provider_id, currency).balance + amount
    if not -MAX_STORED <= balance <= MAX_AMOUNT:
        raise AmountTooLarge()
    row = _entry(provider, currency, TOP_UP, amount, balance, now, by)
    row.description = "Wallet top-up"
    row.method, row.reference, row.remark = method, reference, remark
    session.add(row)
    _record(session, "wallet.topped_up", row, remark, by=by, now=now)
    return queries.show_transaction([row], currency, staff=True)


def reverse_wallet_top_up(
    session: Session,
    *,
    provider_id: str,
    transaction_id: str,
    reason: str,
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Reverse a top-up of the wallet, once; returns the new transaction.

    Raises NoTransaction, NotReversible, AlreadyReversed, ProviderCreditsInsufficient.
    """
    (first,) = queries.rows_of(session, provider_id, transaction_id)
    if first.kind != TOP_UP:
        raise NotReversible("A reversal cannot be reversed. Top up the wallet again.")
    provider = lock_provider(session, provider_id)
    if queries.refunded_or_reversed(session, provider_id, transaction_id) is not None:
        raise AlreadyReversed()
    wallet = queries.wallet_balance(session, provider_id, first.currency)
    _check_usable(wallet, first.amount, _BELONGS_TO_CUSTOMERS)
    balance = wallet.balance - first.amount
    row = _entry(provider, first.currency, "reversal", -first.amount, balance, now, by)
    row.description = f"Reversal: {first.description}"
    row.method, row.reason, row.refunded_id = first.method, reason, transaction_id
    session.add(row)
    _record(session, "wallet.reversed", row, reason, by=by, now=now)
    return queries.show_transaction([row], row.currency, staff=True)


def lock_wallet_of(session: Session, organization_id: str) -> None:
    """Lock the wallet of this customer's provider until the transaction ends.

    Always taken before the account's lock.
    """
    provider_id = queries.provider_of(session, organization_id)
    if provider_id is not None:
        lock_provider(session, provider_id)


def lock_for_deposit(session: Session, organization_id: str, method: str | None) -> Account:
    """The account, locked for a deposit by this method; for ISSUE with the provider's wallet.

    Raises NoAccount, AccountClosed.
    """
    if method == ISSUE:
        lock_wallet_of(session, organization_id)
    return posting.lock_account(session, organization_id)


def check_provider_funds(
    session: Session, account: Account, method: str | None, amount: int
) -> None:
    """Raise ProviderCreditsInsufficient if more is issued than the provider has.

    The provider's wallet is locked.
    """
    if method != ISSUE:
        return
    wallet = queries.wallet_balance(session, account.provider_id, account.currency)
    _check_usable(wallet, amount)


def _check_usable(wallet: queries.WalletBalance, amount: int, detail: str = "") -> None:
    usable = wallet.usable
    if amount > usable:
        raise ProviderCreditsInsufficient(
            detail,
            shortfall=format_money(amount - usable, wallet.currency),
            usable=format_money(usable, wallet.currency),
        )


def _entry(
    provider: Provider,
    currency: str,
    kind: str,
    moved: int,
    balance: int,
    now: datetime,
    by: Actor,
) -> Entry:
    """A transaction of one row, after which the wallet has this balance."""
    debit, credit = (Code.WALLET, Code.FUNDING) if moved > 0 else (Code.FUNDING, Code.WALLET)
    provider.seq += 1
    return Entry(
        organization_id=provider.id,
        seq=provider.seq,
        transaction_id=ids.new("txn"),
        part=0,
        provider_id=provider.id,
        currency=currency,
        kind=kind,
        debit=debit,
        credit=credit,
        amount=abs(moved),
        moved=moved,
        balance_after=balance,
        prepaid_after=0,
        surplus_after=0,
        unbilled_after=0,
        invoiced_after=0,
        held_after=0,
        actor_kind=by.kind,
        actor_id=by.id,
        occurred_at=now,
        posted_at=now,
    )


def _record(
    session: Session, action: str, row: Entry, reason: str | None, *, by: Actor, now: datetime
) -> None:
    changes = [
        {
            "field": "balance",
            "before": format_money(row.balance_after - row.moved, row.currency),
            "after": format_money(row.balance_after, row.currency),
        }
    ]
    audit.record(
        session,
        messages.AuditRecorded,
        organization_id=row.organization_id,
        provider_id=row.provider_id,
        action=action,
        by=by,
        now=now,
        reason=reason,
        changes=changes,
        target={"type": "transaction", "id": row.transaction_id, "label": row.description},
    )
