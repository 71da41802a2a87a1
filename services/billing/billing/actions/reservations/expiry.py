"""Reservations whose time is over: what they still hold is let go, by the clock, or sooner for
whoever needs it."""

from datetime import datetime

from chassis.messaging import outbox
from chassis.runtime import clock
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import posting
from billing.models import Account, Reservation
from billing.values import Code, Transfer, format_money

MOST = 1000


def expire_reservations(session: Session, *, now: datetime, most: int = 100) -> int:
    """Expire what is due and say so; answers how many. Whoever is late comes to the same end as who
    is on time.

    The account is locked first, like everywhere; one that others lock is left for the next time."""
    accounts = {
        found.organization_id: found for found in queries.accounts_with_due(session, now, most)
    }
    due = queries.due_reservations(session, accounts, now, most)
    for reservation in due:
        _expire(session, accounts[reservation.organization_id], reservation, now)
    return len(due)


def expire_due(session: Session, account: Account, now: datetime) -> None:
    """Expire what is due on this account, which is locked, before the clock comes to it."""
    due = (
        queries.due_reservations(session, [account.organization_id], now, MOST)
        if account.held
        else ()
    )
    for reservation in due:
        _expire(session, account, reservation, now)


def release_rest(
    session: Session, account: Account, reservation: Reservation, *, kind: str, now: datetime
) -> None:
    """Post the release of all that is left as a transaction of this kind. The account is locked."""
    left = reservation.left
    posting.post(
        session,
        account,
        [Transfer(Code.HELD, Code.SET_ASIDE, left)],
        kind=kind,
        now=now,
        description=reservation.description,
        reservation_id=reservation.id,
    )
    reservation.released += left
    posting.publish_balance_soon(session, account)


def _expire(session: Session, account: Account, reservation: Reservation, now: datetime) -> None:
    release_rest(session, account, reservation, kind="expiry", now=now)
    reservation.settle("expired", reservation.expires_at)
    outbox.publish(
        session,
        said.ReservationExpired(
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
