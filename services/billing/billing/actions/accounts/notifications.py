"""Saying later what was noted under the account's lock."""

from collections.abc import Collection
from datetime import datetime

from chassis.messaging import outbox
from chassis.runtime import clock
from contracts import billing as said
from sqlalchemy import delete
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import posting
from billing.models import UnpublishedBalance
from billing.values import format_money


def publish_low_credits(session: Session) -> int:
    """Say that the credits of an account ran low, the oldest such note first, unless it was closed
    since; answers how many notes there were."""
    found = queries.oldest_low_credit(session)
    if found is None:
        return 0
    low, account = found
    if not account.is_closed:
        outbox.publish(
            session,
            said.CreditsLow(
                organization_id=account.organization_id,
                provider_id=account.provider_id,
                name=account.name,
                email=account.billing.get("email"),
                currency=account.currency,
                usable_credits=format_money(low.usable, account.currency),
                threshold=format_money(low.threshold, account.currency),
                crossed_at=clock.stamp(low.crossed_at),
            ),
        )
    session.delete(low)
    return 1


def publish_balances(session: Session, *, organization_ids: Collection[str], now: datetime) -> int:
    """Say the figures of these accounts, once for all that changed them; those that others lock
    keep their note. Answers how many were said."""
    accounts = queries.lock_free_accounts(session, organization_ids)
    unsaid = set(
        session.scalars(
            delete(UnpublishedBalance)
            .where(
                UnpublishedBalance.organization_id.in_(
                    [account.organization_id for account in accounts]
                )
            )
            .returning(UnpublishedBalance.organization_id)
        )
    )
    for account in accounts:
        if account.organization_id in unsaid:
            posting.publish_balance(session, account, now)
    return len(unsaid)
