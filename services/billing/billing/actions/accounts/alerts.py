"""Noticing that credits run low.

Only notes are made here, under the account's lock; periodic jobs act on them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from chassis.db.bulk_sql import insert_rows, on_conflict_do_nothing
from sqlalchemy.orm import Session

from billing import queries
from billing.models import Account, Figures, LowCredit, TopUpOrder
from billing.models.snapshot import Snapshot
from billing.values import OPEN

_LOW_CREDITS: Any = LowCredit.__table__
_ORDERS: Any = TopUpOrder.__table__


def is_crossing(before: int, usable: int, threshold: int) -> bool:
    """Whether usable credits fell to the threshold; reaching it is enough."""
    return usable <= threshold < before


def needs_top_up(status: str, usable: int, trigger: int | None) -> bool:
    """Whether an automatic top-up is due. ``trigger``: the usable credits at which, or None."""
    return status == OPEN and trigger is not None and usable <= trigger


def check_thresholds(session: Session, account: Account, before: int, now: datetime) -> None:
    """Note a low-credit alert or a top-up if usable credits call for one.

    ``before``: the usable credits before the change. The alert uses the provider's threshold, the
    automatic top-up the account's own.
    """
    usable = account.figures(now).usable
    if usable < before and not account.is_closed:
        threshold = _low_threshold(session, account)
        if is_crossing(before, usable, threshold):
            _note_low(session, [(account.organization_id, usable, threshold, now)])
    if needs_top_up(account.status, usable, account.top_up_trigger):
        _order_top_ups(session, [account.organization_id], now)


def calls_for_note(snapshot: Snapshot) -> bool:
    """Whether ``check_snapshots`` would note something about it."""
    usable = snapshot.usable
    if is_crossing(snapshot.usable_before, usable, snapshot.low_threshold):
        return True
    return needs_top_up(snapshot.status, usable, snapshot.top_up_trigger)


def check_snapshots(session: Session, changed: Sequence[Snapshot], now: datetime) -> None:
    """The same for accounts posted to without the ORM, all that have changed at once."""
    low, to_top_up = [], []
    for snapshot in changed:
        usable = snapshot.usable
        if is_crossing(snapshot.usable_before, usable, snapshot.low_threshold):
            low.append((snapshot.id, usable, snapshot.low_threshold, now))
        if needs_top_up(snapshot.status, usable, snapshot.top_up_trigger):
            to_top_up.append(snapshot.id)
    _note_low(session, low)
    _order_top_ups(session, to_top_up, now)


def expire_credit_limit(session: Session, account: Account, now: datetime) -> bool:
    """Drop a temporary limit that has ended; returns whether there was one.

    Charges since then were checked when they were posted, so the alert compares the account as it
    was at the end of the limit.
    """
    ends, temporary = account.credit_limit_expires_at, account.temporary_limit
    if ends is None or temporary is None or now < ends:
        return False
    account.set_limit(account.credit_limit, None)
    buckets = queries.buckets_at(session, account.organization_id, ends)
    before, usable = (
        Figures(payment_mode=account.payment_mode, limit=limit, **asdict(buckets)).usable
        for limit in (temporary, account.credit_limit)
    )
    threshold = _low_threshold(session, account)
    if is_crossing(before, usable, threshold) and not account.is_closed:
        _note_low(session, [(account.organization_id, usable, threshold, ends)])
    check_thresholds(session, account, account.figures(now).usable, now)
    return True


def _low_threshold(session: Session, account: Account) -> int:
    return queries.low_thresholds(session, {account.provider_id})[account.provider_id]


def _note_low(session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        columns = ("organization_id", "usable", "threshold", "crossed_at")
        insert_rows(session, _LOW_CREDITS, columns, rows)


def _order_top_ups(session: Session, organization_ids: Sequence[Any], now: datetime) -> None:
    """Order a top-up for each account; whether it had one today is checked when it is tried."""
    if organization_ids:
        insert_rows(
            session,
            _ORDERS,
            ("organization_id", "asked_at", "due_at"),
            [(organization_id, now, now) for organization_id in organization_ids],
            conflict=on_conflict_do_nothing,
        )
