"""Automatic top-ups: an order is tried at most once per day in the account's time zone."""

from datetime import datetime, timedelta
from typing import Any

from chassis.auth.actor import SYSTEM
from chassis.errors import Conflict
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts, audit_log, wallet
from billing.actions.charges import top_ups
from billing.models import Account, TopUpOrder
from billing.values import CARD, ISSUE, day_start, format_money, local_day


def run_auto_top_up(session: Session, *, organization_id: str, now: datetime) -> None:
    """Try the account's automatic top-up if it is still needed.

    If the method cannot draw money automatically, the customer is asked for it. Raises what the
    top-up raises; the caller then records it with ``record_failed_top_up``.
    """
    wallet.lock_wallet_of(session, organization_id)
    account = queries.get_account(session, organization_id, lock=True)
    order = _due_order(session, account, now)
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
        _postpone(session, account, order, now)
    else:
        outbox.publish(
            session,
            messages.TopUpWanted(
                **_message_fields(account, now),
                name=account.name,
                email=account.billing.get("email"),
            ),
        )
        session.delete(order)


def record_failed_top_up(
    session: Session, *, organization_id: str, why: Conflict, now: datetime
) -> None:
    """Record that the top-up that was due failed; it is tried again tomorrow."""
    account = queries.get_account(session, organization_id, lock=True)
    order = _due_order(session, account, now)
    if order is None:
        return
    account.auto_last_on = local_day(now, account.timezone)
    _postpone(session, account, order, now)
    audit_log.record(
        session,
        account,
        "account.auto_top_up_failed",
        by=SYSTEM,
        now=now,
        outcome="error",
        reason=why.code,
    )
    outbox.publish(session, messages.AutoTopUpFailed(**_message_fields(account, now), why=why.code))


def _due_order(session: Session, account: Account, now: datetime) -> TopUpOrder | None:
    """The order to try now.

    An order that is no longer needed is deleted; a second one on the same day is postponed.
    """
    order = session.get(TopUpOrder, account.organization_id, populate_existing=True)
    if order is None or order.due_at > now:
        return None
    today = local_day(now, account.timezone)
    if account.auto_last_on is not None and account.auto_last_on >= today:
        _postpone(session, account, order, now)
        return None
    if not _is_needed(account, now):
        session.delete(order)
        return None
    return order


def _postpone(session: Session, account: Account, order: TopUpOrder, now: datetime) -> None:
    """Move the order to the account's next day, or delete it if no top-up is needed."""
    if not _is_needed(account, now):
        session.delete(order)
        return
    tomorrow = local_day(now, account.timezone) + timedelta(days=1)
    order.due_at = day_start(tomorrow, account.timezone)


def _is_needed(account: Account, now: datetime) -> bool:
    return alerts.needs_top_up(account.status, account.figures(now).usable, account.top_up_trigger)


def _message_fields(account: Account, now: datetime) -> dict[str, Any]:
    return {
        "organization_id": account.organization_id,
        "provider_id": account.provider_id,
        "currency": account.currency,
        "amount": format_money(account.auto_amount or 0, account.currency),
        "method": account.auto_method,
        "usable_credits": format_money(account.figures(now).usable, account.currency),
    }
