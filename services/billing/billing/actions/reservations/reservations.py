"""Reserving credits, charging what was used of them, and releasing the rest.

As with usage, the journal is their record, with who did it: they are not in the audit log.
"""

from datetime import datetime, timedelta
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict, Gone
from chassis.runtime import clock, ids
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.actions.charges import credit_check
from billing.actions.ledger import posting
from billing.actions.reservations import expiry
from billing.models import Account, Reservation
from billing.values import Code, Transfer, format_money


class CaptureExceedsReservation(Conflict):
    code = "capture_exceeds_reservation"
    detail = (
        "The amount is higher than what is left of this reservation. Capture no more than the "
        "remaining amount, and charge the rest."
    )


class ReservationSettled(Conflict):
    code = "reservation_settled"
    detail = "This reservation was already captured or released. Create a new one."


class ReservationExpired(Gone):
    code = "reservation_expired"
    detail = "This reservation has expired. Create a new one."


def reserve(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    description: str,
    expires_in: int,
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Hold the amount for ``expires_in`` seconds; returns the reservation.

    Raises NoAccount, AccountClosed, AccountFrozen, InsufficientCredits, AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id, spending=True)
    credit_check.check(session, account, amount, now)
    reservation = Reservation(
        organization_id=organization_id,
        id=ids.new("res"),
        amount=amount,
        captured=0,
        released=0,
        status="open",
        description=description,
        expires_at=now + timedelta(seconds=expires_in),
        created_at=now,
    )
    session.add(reservation)
    posting.post(
        session,
        account,
        [Transfer(Code.SET_ASIDE, Code.HELD, amount)],
        kind="reservation",
        now=now,
        by=by,
        description=description,
        reservation_id=reservation.id,
    )
    notifications.publish_balance_soon(session, account)
    return queries.show_reservation(reservation, account.currency)


def capture(
    session: Session,
    *,
    organization_id: str,
    reservation_id: str,
    now: datetime,
    by: Actor,
    amount: int | None = None,
    final: bool = True,
    cost: int = 0,
) -> dict[str, Any]:
    """Charge an amount that is held, by default all of it, and the provider for the cost.

    Returns the reservation. ``final`` releases the rest. There is no credit check, and a frozen
    account can still be charged. The first row of the transaction releases both what is captured
    and what is freed; its ``moved`` is the amount captured. Once nothing is left the reservation is
    ``captured``. Raises NoAccount, NoReservation, AccountClosed, ReservationSettled,
    ReservationExpired, CaptureExceedsReservation, AmountTooLarge.
    """
    account, reservation = _lock_open(session, organization_id, reservation_id, now)
    left = reservation.left
    amount = left if amount is None else amount
    if amount > left:
        raise CaptureExceedsReservation(left=format_money(left, account.currency))
    freed = left if final else amount
    transfers = [
        Transfer(Code.HELD, Code.SET_ASIDE, freed),
        Transfer(account.charge_bucket, Code.REVENUE, amount),
    ]
    if cost:
        transfers.append(Transfer(Code.COST, Code.WALLET, cost))
    posting.post(
        session,
        account,
        transfers,
        kind="capture",
        now=now,
        by=by,
        description=reservation.description,
        reservation_id=reservation.id,
    )
    reservation.captured += amount
    reservation.released += freed - amount
    if not reservation.left:
        reservation.settle("captured", now)
    notifications.publish_balance_soon(session, account)
    return queries.show_reservation(reservation, account.currency)


def release(
    session: Session, *, organization_id: str, reservation_id: str, now: datetime, by: Actor
) -> dict[str, Any]:
    """Release all that is still held; returns the reservation.

    It is ``released`` then, even if a part was captured before. Raises NoAccount, NoReservation,
    AccountClosed, ReservationSettled, ReservationExpired.
    """
    account, reservation = _lock_open(session, organization_id, reservation_id, now)
    expiry.release_rest(session, account, reservation, kind="release", now=now, by=by)
    reservation.settle("released", now)
    return queries.show_reservation(reservation, account.currency)


def _lock_open(
    session: Session, organization_id: str, reservation_id: str, now: datetime
) -> tuple[Account, Reservation]:
    """The account, locked, and its reservation, which is still open."""
    account = queries.get_account(session, organization_id, lock=True)
    reservation = queries.get_reservation(session, organization_id, reservation_id)
    if account.is_closed:
        raise posting.AccountClosed()
    if reservation.status in ("captured", "released"):
        raise ReservationSettled()
    if reservation.is_expired(now):
        raise ReservationExpired(expired_at=clock.stamp(reservation.expires_at))
    return account, reservation
