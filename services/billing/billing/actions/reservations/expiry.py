"""Releasing what expired reservations hold: by a periodic job, or sooner if it is needed."""

from collections.abc import Sequence
from datetime import datetime

from chassis.auth.actor import SYSTEM, Actor
from chassis.messaging import outbox
from chassis.runtime import clock
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.actions.ledger import posting
from billing.models import Account, Reservation
from billing.values import Code, Transfer, format_money

MAX_AT_ONCE = 1000


def expire_reservations(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Expire the reservations that are due and publish them; returns how many.

    The result is the same however late it runs. Accounts are locked first, as everywhere; accounts
    locked elsewhere are left for the next run.
    """
    accounts = {
        account.organization_id: account
        for account in queries.accounts_with_due(session, now, limit)
    }
    due = queries.due_reservations(session, accounts, now, limit)
    for reservation in due:
        _expire(session, accounts[reservation.organization_id], reservation, now)
    return len(due)


def expire_due(session: Session, account: Account, now: datetime) -> None:
    """Expire what is due on this account, which is locked, before the job does."""
    due: Sequence[Reservation] = ()
    if account.held:
        due = queries.due_reservations(session, [account.organization_id], now, MAX_AT_ONCE)
    for reservation in due:
        _expire(session, account, reservation, now)


def release_rest(
    session: Session,
    account: Account,
    reservation: Reservation,
    *,
    kind: str,
    now: datetime,
    by: Actor,
) -> None:
    """Post the release of all that is still held as a transaction of this kind."""
    left = reservation.left
    posting.post(
        session,
        account,
        [Transfer(Code.HELD, Code.SET_ASIDE, left)],
        kind=kind,
        now=now,
        by=by,
        description=reservation.description,
        reservation_id=reservation.id,
    )
    reservation.released += left
    notifications.publish_balance_soon(session, account)


def _expire(session: Session, account: Account, reservation: Reservation, now: datetime) -> None:
    release_rest(session, account, reservation, kind="expiry", now=now, by=SYSTEM)
    reservation.settle("expired", reservation.expires_at)
    outbox.publish(
        session,
        messages.ReservationExpired(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            reservation_id=reservation.id,
            currency=account.currency,
            amount=format_money(reservation.amount, account.currency),
            captured=format_money(reservation.captured, account.currency),
            released=format_money(reservation.released, account.currency),
            expired_at=clock.stamp(reservation.expires_at),
        ),
    )
