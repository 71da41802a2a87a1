"""Releasing what expired reservations hold: by a periodic job, or sooner if it is needed."""

from collections.abc import Sequence
from datetime import datetime

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from chassis.runtime import clock, ids
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import bulk_writes, locking
from billing.actions.ledger.entries import Posted, enter
from billing.models import Account
from billing.models.decisions import Expire, Posting, decide
from billing.models.reservation import Held
from billing.models.snapshot import Snapshot
from billing.values import format_money

MAX_AT_ONCE = 1000


def expire_reservations(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Expire the reservations that are due and publish them; returns how many.

    The result is the same however late it runs. Accounts are locked first, as everywhere; accounts
    locked elsewhere are left for the next run.
    """
    organization_ids = queries.accounts_with_due(session, now, limit)
    return _expire_all(session, organization_ids, now, limit)


def expire_due(session: Session, account: Account, now: datetime) -> None:
    """Expire what is due on this account, which is locked, before the job does."""
    session.flush()
    if _expire_all(session, [account.organization_id], now, MAX_AT_ONCE):
        session.refresh(account)


def expire_on_snapshot(session: Session, snapshot: Snapshot, now: datetime) -> list[Posted]:
    """Expire what is due on the snapshot; the caller writes the postings."""
    due = queries.due_reservations(session, [snapshot.id], now, MAX_AT_ONCE)
    return [_expire(session, snapshot, held, now) for held in due]


def _expire_all(
    session: Session, organization_ids: Sequence[str], now: datetime, limit: int
) -> int:
    if not organization_ids:
        return 0
    snapshots = locking.lock_accounts(session, organization_ids, now)
    due = queries.due_reservations(session, organization_ids, now, limit)
    posted = [_expire(session, snapshots[held.organization_id], held, now) for held in due]
    bulk_writes.write(session, posted, now=now)
    return len(posted)


def _expire(session: Session, snapshot: Snapshot, held: Held, now: datetime) -> Posted:
    snapshot.reservations[held.id] = held
    posting = decide(snapshot, Expire(held.id), now)
    assert isinstance(posting, Posting)  # an expired reservation is never refused
    posted = enter(snapshot, posting, by=SYSTEM, now=now)
    after, currency = snapshot.reservations[held.id], snapshot.currency
    outbox.publish(
        session,
        messages.ReservationExpired(
            organization_id=ids.of_uuid("org", snapshot.id),
            provider_id=ids.of_uuid("org", snapshot.provider_id),
            reservation_id=held.id,
            currency=currency,
            amount=format_money(after.amount, currency),
            captured=format_money(after.captured, currency),
            released=format_money(after.released, currency),
            expired_at=clock.stamp(held.expires_at),
        ),
    )
    return posted
