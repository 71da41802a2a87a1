"""Work pending on accounts: balances to publish, alerts to send, automatic top-ups to try."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from billing.models import (
    Account,
    Buckets,
    Entry,
    LowCredit,
    Provider,
    TopUpOrder,
    UnpublishedBalance,
)
from billing.values import DEFAULT_SETTINGS, parse_money

BATCH_SIZE = 100


def low_thresholds(session: Session, provider_ids: Collection[str]) -> dict[str, int]:
    """By provider, the usable credits at which its customers get an alert. Locks nothing."""
    rows = session.execute(
        select(Provider.id, Provider.settings["low_credit_threshold"].as_string()).where(
            Provider.id.in_(provider_ids)
        )
    )
    chosen = {provider_id: threshold for provider_id, threshold in rows}
    return {provider_id: low_threshold(chosen.get(provider_id)) for provider_id in provider_ids}


@lru_cache
def low_threshold(chosen: str | None) -> int:
    """The threshold a provider has chosen, or the default, in millionths."""
    return parse_money(chosen or DEFAULT_SETTINGS["low_credit_threshold"], zero=True)


def buckets_at(session: Session, organization_id: str, moment: datetime) -> Buckets:
    """The buckets of an account at that moment, from its journal."""
    last = session.scalars(
        select(Entry)
        .where(Entry.organization_id == organization_id, Entry.posted_at < moment)
        .order_by(Entry.seq.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return Buckets()
    return Buckets(
        prepaid=last.prepaid_after,
        surplus=last.surplus_after,
        unbilled=last.unbilled_after,
        invoiced=last.invoiced_after,
        held=last.held_after,
    )


def oldest_low_credit(session: Session) -> Row[LowCredit, Account] | None:
    """The oldest low-credit alert, locked, and its account; alerts locked elsewhere are skipped."""
    return session.execute(
        select(LowCredit, Account)
        .join(Account, Account.organization_id == LowCredit.organization_id)
        .order_by(LowCredit.id)
        .limit(1)
        .with_for_update(of=LowCredit, skip_locked=True)
    ).one_or_none()


def due_top_ups(session: Session, now: datetime, limit: int = BATCH_SIZE) -> Sequence[str]:
    """The accounts whose automatic top-up is due."""
    return session.scalars(
        select(TopUpOrder.organization_id)
        .where(TopUpOrder.due_at <= now)
        .order_by(TopUpOrder.due_at)
        .limit(limit)
    ).all()


def unpublished_balances(session: Session, limit: int = BATCH_SIZE) -> Sequence[str]:
    """The accounts whose balance is to be published."""
    return session.scalars(select(UnpublishedBalance.organization_id).limit(limit)).all()


def lock_free_accounts(session: Session, organization_ids: Collection[str]) -> Sequence[Account]:
    """These accounts, locked, without those locked elsewhere."""
    return session.scalars(
        select(Account)
        .where(Account.organization_id.in_(organization_ids))
        .order_by(Account.organization_id)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
