"""A provider's wallet: topping it up, and issuing credits from it to customers."""

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
from billing.actions.ledger.refusals import AmountTooLarge
from billing.models import Account, Entry, Provider
from billing.values import ISSUE, MAX_AMOUNT, MAX_STORED, Code, format_money, is_currency


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
    row = _entry(provider, currency, amount, balance, by)
    row.method, row.reference, row.remark = method, reference, remark
    row.occurred_at = row.posted_at = now
    session.add(row)
    _record_top_up(session, row, by=by, now=now)
    return queries.show_transaction([row], currency, staff=True)


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
    usable = queries.wallet_balance(session, account.provider_id, account.currency).usable
    if amount > usable:
        raise ProviderCreditsInsufficient(
            shortfall=format_money(amount - usable, account.currency),
            usable=format_money(usable, account.currency),
        )


def _entry(provider: Provider, currency: str, amount: int, balance: int, by: Actor) -> Entry:
    provider.seq += 1
    return Entry(
        organization_id=provider.id,
        seq=provider.seq,
        transaction_id=ids.new("txn"),
        part=0,
        provider_id=provider.id,
        currency=currency,
        kind="wallet_top_up",
        debit=Code.WALLET,
        credit=Code.FUNDING,
        amount=amount,
        moved=amount,
        balance_after=balance,
        prepaid_after=0,
        surplus_after=0,
        unbilled_after=0,
        invoiced_after=0,
        held_after=0,
        description="Wallet top-up",
        actor_kind=by.kind,
        actor_id=by.id,
    )


def _record_top_up(session: Session, row: Entry, *, by: Actor, now: datetime) -> None:
    changes = [
        {
            "field": "balance",
            "before": format_money(row.balance_after - row.amount, row.currency),
            "after": format_money(row.balance_after, row.currency),
        }
    ]
    audit.record(
        session,
        messages.AuditRecorded,
        organization_id=row.organization_id,
        provider_id=row.provider_id,
        action="wallet.topped_up",
        by=by,
        now=now,
        reason=row.remark,
        changes=changes,
        target={"type": "transaction", "id": row.transaction_id, "label": row.description},
    )
