"""Noticing that credits run low. Only notes are made here, under the account's lock; the clock acts
on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.runtime import ids
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger.bulk_sql import insert_rows
from billing.models import Account, Figures, LowCredit, TopUpOrder
from billing.models.account_snapshot import AccountSnapshot
from billing.values import OPEN

_LOW: Any = LowCredit.__table__
_ORDERS: Any = TopUpOrder.__table__


def is_crossing(before: int, usable: int, threshold: int) -> bool:
    """Whether usable credits came down to the threshold; to have reached it is enough."""
    return usable <= threshold < before


def needs_top_up(status: str, usable: int, top_up_trigger: int | None) -> bool:
    """Whether this few usable credits want an automatic top-up. ``top_up_trigger``: at how many it is
    wanted; None: at none. Where nothing may be charged none is wanted. domain.md section 15 row 26.
    """
    return status == OPEN and top_up_trigger is not None and usable <= top_up_trigger


def check_thresholds(session: Session, account: Account, before: int, now: datetime) -> None:
    """Note it when usable credits, ``before`` until now, have come down to a threshold that
    somebody waits for: the provider's for the alert, the account's own for its automatic top-up."""
    usable = account.figures(now).usable
    if usable < before and not account.is_closed:
        threshold = queries.low_thresholds(session, {account.provider_id})[account.provider_id]
        if is_crossing(before, usable, threshold):
            _note_low(session, [(account.organization_id, usable, threshold, now)])
    if needs_top_up(account.status, usable, account.top_up_trigger):
        _order(session, [account.organization_id], now)


def check_snapshot_thresholds(
    session: Session,
    changed: Sequence[AccountSnapshot],
    now: datetime,
    *,
    threshold: int | None = None,
) -> None:
    """The same for accounts that were charged without the ORM. ``threshold``: the provider's, where
    it is known."""
    providers = {
        snapshot.provider_id: ids.of_uuid("org", snapshot.provider_id) for snapshot in changed
    }
    known = queries.low_thresholds(session, set(providers.values())) if threshold is None else {}
    low, wanted = [], []
    for snapshot in changed:
        usable, at = snapshot.usable, threshold
        if at is None:
            at = known[providers[snapshot.provider_id]]
        if is_crossing(usable + snapshot.spent, usable, at):
            low.append((snapshot.id, usable, at, now))
        if needs_top_up(snapshot.status, usable, snapshot.top_up_trigger):
            wanted.append(snapshot.id)
    _note_low(session, low)
    _order(session, wanted, now)


def expire_credit_limit(session: Session, account: Account, now: datetime) -> bool:
    """Forget a temporary limit that has ended and note what its end did to usable credits; whether
    there was one. What was charged since was watched when it was charged, so this looks at the
    account as it stood at the end."""
    ends, temporary = account.credit_limit_expires_at, account.temporary_limit
    if ends is None or temporary is None or now < ends:
        return False
    account.set_limit(account.credit_limit, None)
    buckets = queries.buckets_at(session, account.organization_id, ends)
    before, usable = (
        Figures(payment_mode=account.payment_mode, limit=limit, buckets=buckets).usable
        for limit in (temporary, account.credit_limit)
    )
    threshold = queries.low_thresholds(session, {account.provider_id})[account.provider_id]
    if is_crossing(before, usable, threshold) and not account.is_closed:
        _note_low(session, [(account.organization_id, usable, threshold, ends)])
    check_thresholds(session, account, account.figures(now).usable, now)
    return True


def _note_low(session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        insert_rows(session, _LOW, ("organization_id", "usable", "threshold", "crossed_at"), rows)


def _order(session: Session, organization_ids: Sequence[Any], now: datetime) -> None:
    """Order a top-up for each, now; one order is enough. Whether today's was made is asked when it
    is tried."""
    if organization_ids:
        insert_rows(
            session,
            _ORDERS,
            ("organization_id", "asked_at", "due_at"),
            [(organization_id, now, now) for organization_id in organization_ids],
            conflict=lambda statement: statement.on_conflict_do_nothing(),
        )
