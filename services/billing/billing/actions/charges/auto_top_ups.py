"""Automatic top-ups: what was ordered is tried, at most once a day of the account's own."""

from datetime import datetime, timedelta
from typing import Any

from chassis.auth.actor import SYSTEM
from chassis.errors import Conflict
from chassis.messaging import outbox
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts, providers
from billing.actions.charges import top_ups
from billing.actions.ledger import posting
from billing.models import Account, TopUpOrder
from billing.values import CARD, ISSUE, day_start, format_money, local_day


def run_auto_top_up(session: Session, *, organization_id: str, now: datetime) -> None:
    """Try the top-up that was ordered for this account, if it is still wanted. Where no money can
    be drawn, the customer is asked for it.

    Raises what the top-up raises: then it failed, which ``record_failed_top_up`` is to be told."""
    providers.lock_wallet_of(session, organization_id)
    account = queries.get_account(session, organization_id, lock=True)
    order = _due(session, account, now)
    if order is None:
        return
    account.auto_last_on = local_day(now, account.timezone)
    if account.auto_method in (CARD, ISSUE):
        top_ups.top_up(
            session,
            organization_id=organization_id,
            amount=account.auto_amount or 0,
            method=account.auto_method,
            now=now,
            by=SYSTEM,
            remark="Automatic top-up",
        )
        _put_off(session, account, order, now)
    else:
        outbox.publish(
            session,
            said.TopUpWanted(
                **_told(account, now), name=account.name, email=account.billing.get("email")
            ),
        )
        session.delete(order)


def record_failed_top_up(
    session: Session, *, organization_id: str, why: Conflict, now: datetime
) -> None:
    """Note that the top-up which was due failed; it is tried again tomorrow."""
    account = queries.get_account(session, organization_id, lock=True)
    order = _due(session, account, now)
    if order is None:
        return
    account.auto_last_on = local_day(now, account.timezone)
    _put_off(session, account, order, now)
    posting.record(
        session,
        account,
        "account.auto_top_up_failed",
        by=SYSTEM,
        now=now,
        outcome="error",
        reason=why.code,
    )
    outbox.publish(session, said.AutoTopUpFailed(**_told(account, now), why=why.code))


def _due(session: Session, account: Account, now: datetime) -> TopUpOrder | None:
    """The order that is to be tried now; one that nobody wants any more is deleted, one too many
    for today put off."""
    order = session.get(TopUpOrder, account.organization_id, populate_existing=True)
    if order is None or order.due_at > now:
        return None
    if account.auto_last_on is not None and account.auto_last_on >= local_day(
        now, account.timezone
    ):
        _put_off(session, account, order, now)
        return None
    if not _is_wanted(account, now):
        session.delete(order)
        return None
    return order


def _put_off(session: Session, account: Account, order: TopUpOrder, now: datetime) -> None:
    """Until the account's next day begins, if a top-up is still wanted at all."""
    if _is_wanted(account, now):
        order.due_at = day_start(
            local_day(now, account.timezone) + timedelta(days=1), account.timezone
        )
    else:
        session.delete(order)


def _is_wanted(account: Account, now: datetime) -> bool:
    return alerts.needs_top_up(account.status, account.figures(now).usable, account.top_up_trigger)


def _told(account: Account, now: datetime) -> dict[str, Any]:
    return {
        "organization_id": account.organization_id,
        "provider_id": account.provider_id,
        "currency": account.currency,
        "amount": format_money(account.auto_amount or 0, account.currency),
        "method": account.auto_method,
        "usable_credits": format_money(account.figures(now).usable, account.currency),
    }
