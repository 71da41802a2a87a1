"""What can be known about reservations."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from billing.models import Account, Reservation
from billing.models.reservation import OPEN_ONLY
from billing.values import format_money

SHOWN_IN_REFUSALS = 10
_LEFT = Reservation.amount - Reservation.captured - Reservation.released


class NoReservation(NotFound):
    code = "not_found"
    detail = "There is no such reservation on this account."


def reservation(session: Session, organization_id: str, reservation_id: str) -> Reservation:
    """One reservation; exact for whoever holds the account's lock. Raises NoReservation."""
    if not ids.is_id("res", reservation_id):
        raise NoReservation()
    found = session.get(Reservation, (organization_id, reservation_id), populate_existing=True)
    if found is None:
        raise NoReservation()
    return found


def reservations(organization_id: str, *, status: str | None = None) -> Select[Any]:
    """The reservations of an organization, newest first."""
    query = (
        select(Reservation)
        .where(Reservation.organization_id == organization_id)
        .order_by(Reservation.id.desc())
    )
    return query if status is None else query.where(Reservation.status == status)


def accounts_with_due(session: Session, now: datetime, most: int) -> Sequence[Account]:
    """The accounts of the reservations that have been due longest, locked; those that others lock
    are left out."""
    longest = (
        select(Reservation.organization_id)
        .where(text(OPEN_ONLY), Reservation.expires_at <= now)
        .order_by(Reservation.expires_at)
        .limit(most)
    )
    return session.scalars(
        select(Account)
        .where(Account.organization_id.in_(longest))
        .order_by(Account.organization_id)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()


def due_reservations(
    session: Session, organization_ids: Collection[str], now: datetime, most: int
) -> Sequence[Reservation]:
    """What is due on these accounts, which are locked, soonest first."""
    if not organization_ids:
        return ()
    return session.scalars(
        select(Reservation)
        .where(
            Reservation.organization_id.in_(organization_ids),
            Reservation.status == "open",
            Reservation.expires_at <= now,
        )
        .order_by(Reservation.expires_at, Reservation.id)
        .limit(most)
        .execution_options(populate_existing=True)
    ).all()


def reservations_freeing(
    session: Session, organization_id: str, missing: int
) -> tuple[list[tuple[str, int, datetime]], datetime]:
    """The open reservations whose end will free this much, soonest first and only as many as it
    takes: id, what is left and when it ends, of the first ten; and when the last of all of them
    ends. Together they hold enough."""
    soonest = (Reservation.expires_at, Reservation.id)
    freed = func.sum(_LEFT).over(order_by=soonest)
    queue = (
        select(Reservation.id, _LEFT.label("left"), Reservation.expires_at, freed.label("freed"))
        .where(Reservation.organization_id == organization_id, Reservation.status == "open")
        .subquery()
    )
    first = session.execute(
        select(queue.c.id, queue.c.left, queue.c.expires_at)
        .where(queue.c.freed - queue.c.left < missing)
        .order_by(queue.c.freed)
        .limit(SHOWN_IN_REFUSALS)
    )
    freed_at = session.execute(
        select(func.min(queue.c.expires_at)).where(queue.c.freed >= missing)
    ).scalar_one()
    return [(row.id, row.left, row.expires_at) for row in first], freed_at


def show_reservation(found: Reservation, currency: str) -> dict[str, Any]:
    """The reservation as people see it. One whose time is over is ``open``, and counted as
    reserved, until it has been swept."""
    return {
        "id": found.id,
        "organization_id": found.organization_id,
        "amount": format_money(found.amount, currency),
        "captured": format_money(found.captured, currency),
        "released": format_money(found.released, currency),
        "status": found.status,
        "description": found.description,
        "expires_at": found.expires_at,
        "created_at": found.created_at,
    }
