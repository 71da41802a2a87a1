"""Publishing balances and low-credit alerts, at once or later by a periodic job."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from chassis.db.bulk_sql import insert_rows, on_conflict_do_nothing
from chassis.messaging import outbox
from chassis.runtime import clock
from contracts import billing as messages
from sqlalchemy import delete
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.models import Account, UnpublishedBalance
from billing.values import format_money

_UNPUBLISHED: Any = UnpublishedBalance.__table__


def publish_balance(session: Session, *accounts: Account, now: datetime) -> None:
    """Publish the figures of each of the accounts."""
    days = queries.days_to_empty(session, accounts, now)
    for account in accounts:
        account.published_days_to_empty = days[account.organization_id]
        schedule_recount(account, now)
        account.stamp_publication(now)
    overdue = queries.overdue(session, accounts)
    for account in accounts:
        _publish_figures(session, account, overdue.get(account.organization_id), now)


def _publish_figures(
    session: Session, account: Account, overdue: queries.Overdue | None, now: datetime
) -> None:
    figures = account.figures(now)

    def money(amount: int) -> str:
        return format_money(amount, account.currency)

    outbox.publish(
        session,
        messages.BalanceChanged(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            currency=account.currency,
            payment_mode=account.payment_mode,
            status=queries.public_status(account),
            usable_credits=money(figures.usable),
            balance=money(figures.balance),
            credit_limit=money(figures.limit),
            reserved_credits=money(account.held),
            amount_due=money(figures.amount_due),
            overdue_amount=money(overdue.amount) if overdue else None,
            oldest_due_on=overdue.oldest_due_on.isoformat() if overdue else None,
            top_up_needed=alerts.needs_top_up(
                account.status, figures.usable, account.top_up_trigger
            ),
            days_to_empty=account.published_days_to_empty,
            as_of=clock.stamp(account.balance_published_at or now),
        ),
    )


def publish_balance_soon(session: Session, *accounts: Account) -> None:
    """Have the balances published by the job, once for all changes until then."""
    insert_rows(
        session,
        _UNPUBLISHED,
        ("organization_id",),
        [(account.organization_id,) for account in accounts],
        conflict=on_conflict_do_nothing,
    )


def publish_balances(session: Session, *, organization_ids: Collection[str], now: datetime) -> int:
    """Publish the balances that wait for it; returns how many were published.

    Accounts locked elsewhere are left for the next run.
    """
    accounts = queries.lock_free_accounts(session, organization_ids)
    free_ids = [account.organization_id for account in accounts]
    waiting = set(
        session.scalars(
            delete(UnpublishedBalance)
            .where(UnpublishedBalance.organization_id.in_(free_ids))
            .returning(UnpublishedBalance.organization_id)
        )
    )
    still = [account for account in accounts if account.organization_id in waiting]
    publish_balance(session, *still, now=now)
    return len(waiting)


def publish_low_credits(session: Session) -> int:
    """Publish the oldest low-credit alert, unless the account is closed; returns how many."""
    oldest = queries.oldest_low_credit(session)
    if oldest is None:
        return 0
    alert, account = oldest
    if not account.is_closed:
        outbox.publish(
            session,
            messages.CreditsLow(
                organization_id=account.organization_id,
                provider_id=account.provider_id,
                name=account.name,
                email=account.billing.get("email"),
                currency=account.currency,
                usable_credits=format_money(alert.usable, account.currency),
                threshold=format_money(alert.threshold, account.currency),
                crossed_at=clock.stamp(alert.crossed_at),
            ),
        )
    session.delete(alert)
    return 1


def recount_days_to_empty(session: Session, *, now: datetime, limit: int = 25) -> int:
    """Publish the balances whose days to empty have changed since yesterday.

    Returns how many accounts were recounted.
    """
    accounts = queries.accounts_to_recount(session, now, limit)
    days = queries.days_to_empty(session, accounts, now)
    changed = [
        account
        for account in accounts
        if days[account.organization_id] != account.published_days_to_empty
    ]
    publish_balance(session, *changed, now=now)
    for account in accounts:
        schedule_recount(account, now)
    return len(accounts)


def schedule_recount(account: Account, now: datetime) -> None:
    """Have the days to empty recounted tomorrow, if there are any."""
    if account.published_days_to_empty is None:
        account.days_due_on = None
    else:
        account.days_due_on = queries.utc_day(now) + timedelta(days=1)
