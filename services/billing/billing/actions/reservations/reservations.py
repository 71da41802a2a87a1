"""Reservations: holding credits for what is going on, charging what it came to, letting the rest
go.

They are not audited one by one, as usage is not: the journal is their record."""

from datetime import datetime, timedelta
from typing import Any

from chassis.errors import Conflict, Gone
from chassis.runtime import clock, ids
from sqlalchemy.orm import Session

from billing import queries
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
) -> dict[str, Any]:
    """Hold the amount for ``expires_in`` seconds; the reservation.

    Raises NoAccount, AccountClosed, AccountFrozen, InsufficientCredits, AmountTooLarge."""
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
        description=description,
        reservation_id=reservation.id,
    )
    posting.publish_balance_soon(session, account)
    return queries.show_reservation(reservation, account.currency)


def capture(
    session: Session,
    *,
    organization_id: str,
    reservation_id: str,
    now: datetime,
    amount: int | None = None,
    final: bool = True,
    cost: int = 0,
) -> dict[str, Any]:
    """Charge an amount that is held, all that is left unless said otherwise, and the provider what
    it costs; the reservation. ``final`` lets the rest go. It needs no cover and goes on while the
    account is frozen.

    The first row of the transaction takes what was captured and what was let go out of what is
    held; ``moved`` on it is what was captured. Once nothing is left the reservation is
    ``captured``. Raises NoAccount, NoReservation, AccountClosed, ReservationSettled,
    ReservationExpired, CaptureExceedsReservation, AmountTooLarge."""
    account, reservation = _take(session, organization_id, reservation_id, now)
    left = reservation.left
    amount = left if amount is None else amount
    if amount > left:
        raise CaptureExceedsReservation(left=format_money(left, account.currency))
    freed = left if final else amount
    transfers = [
        Transfer(Code.HELD, Code.SET_ASIDE, freed),
        Transfer(account.charge_bucket, Code.REVENUE, amount),
    ]
    transfers += [Transfer(Code.COST, Code.WALLET, cost)] if cost else []
    posting.post(
        session,
        account,
        transfers,
        kind="capture",
        now=now,
        description=reservation.description,
        reservation_id=reservation.id,
    )
    reservation.captured += amount
    reservation.released += freed - amount
    if not reservation.left:
        reservation.settle("captured", now)
    posting.publish_balance_soon(session, account)
    return queries.show_reservation(reservation, account.currency)


def release(
    session: Session, *, organization_id: str, reservation_id: str, now: datetime
) -> dict[str, Any]:
    """Let go of all that is left; the reservation. It is ``released`` then, even if a part of it
    was captured before.

    Raises NoAccount, NoReservation, AccountClosed, ReservationSettled, ReservationExpired."""
    account, reservation = _take(session, organization_id, reservation_id, now)
    expiry.release_rest(session, account, reservation, kind="release", now=now)
    reservation.settle("released", now)
    return queries.show_reservation(reservation, account.currency)


def _take(
    session: Session, organization_id: str, reservation_id: str, now: datetime
) -> tuple[Account, Reservation]:
    """The account, locked, and its reservation, which still holds something."""
    account = queries.get_account(session, organization_id, lock=True)
    reservation = queries.get_reservation(session, organization_id, reservation_id)
    if account.is_closed:
        raise posting.AccountClosed()
    if reservation.status in ("captured", "released"):
        raise ReservationSettled()
    if reservation.is_expired(now):
        raise ReservationExpired(expired_at=clock.stamp(reservation.expires_at))
    return account, reservation
