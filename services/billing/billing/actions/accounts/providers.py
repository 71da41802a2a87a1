"""Providers: what is remembered of them, their settings, their own wallet."""

from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from chassis.errors import NotFound, invalid
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as said
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger.posting import AmountTooLarge
from billing.models import Entry, Provider
from billing.values import MAX_AMOUNT, MAX_STORED, Code, format_money, is_currency


class NoWallet(NotFound):
    code = "not_found"
    detail = "Your wallet is not set up yet. Try again in a moment."


def register_provider(
    session: Session, *, provider_id: str, name: str, country: str, currency: str, timezone: str
) -> None:
    """Note who a provider is; from now on it has a wallet."""
    provider = _provider(session, provider_id)
    provider.name, provider.country = name, country
    provider.currency, provider.timezone = currency, timezone


def apply_settings(
    session: Session, *, provider_id: str, version: int, settings: dict[str, Any]
) -> None:
    """Work by these settings, unless newer ones are known, and say so."""
    provider = _provider(session, provider_id)
    if version > provider.settings_version:
        provider.settings, provider.settings_version = settings, version
    outbox.publish(session, said.SettingsApplied(provider_id=provider_id, version=version))


def lock_wallet_of(session: Session, organization_id: str) -> None:
    """Let nobody else issue from the wallet of this customer's provider until this transaction
    ends. Always taken before the account."""
    provider_id = queries.provider_of(session, organization_id)
    if provider_id is not None:
        _provider(session, provider_id)


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
    """Add to the provider's own balance at the platform; the transaction. Raises NoWallet, Invalid,
    AmountTooLarge."""
    provider = session.scalars(_locked(provider_id)).one_or_none()
    if provider is None or provider.currency is None:
        raise NoWallet()
    currency = currency or provider.currency
    if not is_currency(currency):
        raise invalid("/currency", "currency", "Must be a currency of ISO 4217.")
    balance = queries.wallet_balance(session, provider_id, currency).balance + amount
    if not -MAX_STORED <= balance <= MAX_AMOUNT:
        raise AmountTooLarge()
    provider.seq += 1
    row = Entry(
        organization_id=provider_id,
        seq=provider.seq,
        transaction_id=ids.new("txn"),
        part=0,
        provider_id=provider_id,
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
        description="Top-up of the wallet",
        method=method,
        reference=reference,
        remark=remark,
        occurred_at=now,
        posted_at=now,
    )
    session.add(row)
    changes = [
        {
            "field": "balance",
            "before": format_money(balance - amount, currency),
            "after": format_money(balance, currency),
        }
    ]
    audit.record(
        session,
        said.AuditRecorded,
        organization_id=provider_id,
        provider_id=provider_id,
        action="wallet.topped_up",
        by=by,
        now=now,
        reason=remark,
        changes=changes,
        target={"type": "transaction", "id": row.transaction_id, "label": row.description},
    )
    return queries.show_transaction([row], currency, staff=True)


def _locked(provider_id: str) -> Any:
    return select(Provider).where(Provider.id == provider_id).with_for_update()


def _provider(session: Session, provider_id: str) -> Provider:
    """The provider's row, locked, made if nothing was known of it."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(
        insert(Provider)
        .values(id=provider_id, settings={}, settings_version=0, seq=0)
        .on_conflict_do_nothing()
    )
    return session.scalars(_locked(provider_id)).one()
