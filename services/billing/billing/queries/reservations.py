"""Reading reservations."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from chassis.db import direct
from chassis.db.direct import Direct, Statement
from chassis.db.upserts import is_postgresql
from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, Uuid, and_, bindparam, func, or_, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from billing.models import Account, Reservation
from billing.models.reservation import OPEN_ONLY, Held, status_at
from billing.values import format_money

MAX_SHOWN = 10
_ROWS: Any = Reservation.__table__
_HELD = select(*(_ROWS.c[name] for name in Held._fields))
_UUIDS = postgresql.ARRAY(Uuid)
_PAIRS: Any = (
    func.unnest(bindparam("organizations", type_=_UUIDS), bindparam("reservations", type_=_UUIDS))
    .table_valued("organization_id", "id", name="named")
    .render_derived()
)
_NAMED = Statement(
    _HELD.join(
        _PAIRS,
        and_(
            _ROWS.c.organization_id == _PAIRS.c.organization_id,
            _ROWS.c.id == _PAIRS.c.id,
        ),
    )
)
_LEFT = Reservation.amount - Reservation.captured - Reservation.released


class NoReservation(NotFound):
    code = "not_found"
    detail = "There is no such reservation on this account."


def get_reservation(session: Session, organization_id: str, reservation_id: str) -> Reservation:
    """One reservation. Raises NoReservation."""
    if not ids.is_id("res", reservation_id):
        raise NoReservation()
    reservation = session.get(
        Reservation, (organization_id, reservation_id), populate_existing=True
    )
    if reservation is None:
        raise NoReservation()
    return reservation


def reservations(organization_id: str, *, now: datetime, status: str | None = None) -> Select[Any]:
    """The reservations of an organization, newest first; ``status``: that at ``now``."""
    query = (
        select(Reservation)
        .where(Reservation.organization_id == organization_id)
        .order_by(Reservation.id.desc())
    )
    if status is None:
        return query
    has_status, is_due = Reservation.status == status, Reservation.expires_at <= now
    if status == "open":
        return query.where(has_status, ~is_due)
    if status == "expired":
        return query.where(or_(has_status, and_(Reservation.status == "open", is_due)))
    return query.where(has_status)


def held(change: Session | Direct, named: Collection[tuple[str, str]]) -> list[Held]:
    """The reservations by organization id and id. Read after their accounts are locked."""
    if isinstance(change, Session) and not is_postgresql(change):
        rows: Iterable[Any] = change.execute(
            _HELD.where(
                _ROWS.c.organization_id.in_({organization_id for organization_id, _ in named}),
                _ROWS.c.id.in_({reservation_id for _, reservation_id in named}),
            )
        )
    else:
        parameters = {
            "organizations": [ids.to_uuid("org", each) for each, _ in named],
            "reservations": [ids.to_uuid("res", each) for _, each in named],
        }
        rows = direct.rows(change, _NAMED, parameters)
    return [_held(row) for row in rows]


def accounts_with_due(session: Session, now: datetime, limit: int) -> Sequence[str]:
    """The accounts of the longest expired reservations, locked; accounts locked elsewhere are
    skipped."""
    longest = (
        select(Reservation.organization_id)
        .where(text(OPEN_ONLY), Reservation.expires_at <= now)
        .order_by(Reservation.expires_at)
        .limit(limit)
    )
    return session.scalars(
        select(Account.organization_id)
        .where(Account.organization_id.in_(longest))
        .order_by(Account.organization_id)
        .with_for_update(key_share=True, skip_locked=True)
    ).all()


def due_reservations(
    session: Session, organization_ids: Collection[Any], now: datetime, limit: int
) -> list[Held]:
    """The expired reservations of these accounts, which are locked, oldest first."""
    rows = session.execute(
        _HELD.where(
            _ROWS.c.organization_id.in_(organization_ids),
            _ROWS.c.status == "open",
            _ROWS.c.expires_at <= now,
        )
        .order_by(_ROWS.c.expires_at, _ROWS.c.id)
        .limit(limit)
    )
    return [_held(row) for row in rows]


def _held(row: Any) -> Held:
    return Held(ids.to_uuid("org", row.organization_id), *row[1:])


def reservations_freeing(
    session: Session, organization_id: str, missing: int
) -> tuple[list[tuple[str, int, datetime]], datetime]:
    """The open reservations whose expiry will free the missing amount, soonest first.

    Returns id, amount held and expiry of at most ten of them, and the moment at which enough is
    free. All reservations together must hold at least the missing amount.
    """
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
        .limit(MAX_SHOWN)
    )
    freed_at = session.execute(
        select(func.min(queue.c.expires_at)).where(queue.c.freed >= missing)
    ).scalar_one()
    return [(row.id, row.left, row.expires_at) for row in first], freed_at


def show_held(held: Held, currency: str) -> dict[str, Any]:
    """The reservation as the API returns it, after a posting."""
    return _shown(held, currency, ids.of_uuid("org", held.organization_id), held.status)


def show_reservation(reservation: Reservation, currency: str, now: datetime) -> dict[str, Any]:
    """The reservation as the API returns it.

    What an expired one held counts as reserved, and is not yet in ``released``, until the job or a
    charge that needs it has released it.
    """
    status = status_at(reservation.status, reservation.expires_at, now)
    return _shown(reservation, currency, reservation.organization_id, status)


def _shown(
    reservation: Reservation | Held, currency: str, organization_id: str, status: str
) -> dict[str, Any]:
    return {
        "id": reservation.id,
        "organization_id": organization_id,
        "amount": format_money(reservation.amount, currency),
        "captured": format_money(reservation.captured, currency),
        "released": format_money(reservation.released, currency),
        "status": status,
        "description": reservation.description,
        "expires_at": reservation.expires_at,
        "created_at": reservation.created_at,
    }
