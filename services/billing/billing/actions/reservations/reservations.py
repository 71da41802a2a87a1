"""Reserving credits, charging what was used of them, and releasing the rest.

As with usage, the journal is their record, with who did it: they are not in the audit log.
"""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import engine
from billing.actions.ledger.entries import Posted
from billing.actions.ledger.orders import Order
from billing.models.decisions import Capture, Release, Reserve


def reserve_order(
    *,
    organization_id: str,
    amount: int,
    description: str,
    expires_in: int,
    by: Actor,
    provider_id: str | None = None,
) -> Order:
    """The order that holds the amount for ``expires_in`` seconds.

    ``provider_id``: the provider that the customer must belong to; None if that was checked.
    """
    command = Reserve(ids.new("res"), amount, description, expires_in)
    return Order(organization_id, command, by, provider_id)


def capture_order(
    *,
    organization_id: str,
    reservation_id: str,
    by: Actor,
    amount: int | None = None,
    final: bool = True,
    cost: int = 0,
    provider_id: str | None = None,
) -> Order:
    """The order that charges an amount that is held, by default all of it, and the provider for the
    cost. ``final`` releases the rest."""
    command = Capture(reservation_id, amount, final, cost)
    return Order(organization_id, command, by, provider_id)


def release_order(
    *, organization_id: str, reservation_id: str, by: Actor, provider_id: str | None = None
) -> Order:
    """The order that releases all that is still held."""
    return Order(organization_id, Release(reservation_id), by, provider_id)


def reserve(session: Session, *, now: datetime, **terms: Any) -> dict[str, Any]:
    """Hold an amount, see ``reserve_order``; returns the reservation.

    Raises NoAccount, AccountClosed, AccountFrozen, InsufficientCredits, AmountTooLarge.
    """
    return _post(session, reserve_order(**terms), now)


def capture(session: Session, *, now: datetime, **terms: Any) -> dict[str, Any]:
    """Charge an amount that is held, see ``capture_order``; returns the reservation.

    There is no credit check, and a frozen account can still be charged. The first row of the
    transaction releases both what is captured and what is freed; its ``moved`` is the amount
    captured. Once nothing is left the reservation is ``captured``. Raises NoAccount, NoReservation,
    AccountClosed, ReservationSettled, ReservationExpired, CaptureExceedsReservation,
    AmountTooLarge.
    """
    return _post(session, capture_order(**terms), now)


def release(session: Session, *, now: datetime, **terms: Any) -> dict[str, Any]:
    """Release all that is still held, see ``release_order``; returns the reservation.

    It is ``released`` then, even if a part was captured before. Raises NoAccount, NoReservation,
    AccountClosed, ReservationSettled, ReservationExpired.
    """
    return _post(session, release_order(**terms), now)


def show_reservation_after(posted: Posted) -> dict[str, Any]:
    """The reservation after a posting that concerns it."""
    held = posted.posting.held
    assert held is not None  # each of these commands is about one
    return queries.show_held(held, posted.snapshot.currency)


def _post(session: Session, order: Order, now: datetime) -> dict[str, Any]:
    return show_reservation_after(engine.post_one(session, order, now=now))
