"""The merged audit of an organization."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, literal, select, tuple_
from sqlalchemy.orm import Session

from org import values
from org.models import ClientAddress, TrailEntry

MAX_BATCH = 500

_CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "action": lambda wanted: TrailEntry.action == wanted,
    "outcome": lambda wanted: TrailEntry.outcome == wanted,
    "actor_kind": lambda wanted: TrailEntry.actor_kind == wanted,
    "target": lambda wanted: TrailEntry.target_id == wanted,
    "from_": lambda wanted: TrailEntry.at >= wanted,
    "to": lambda wanted: TrailEntry.at < wanted,
}


def known_entries(session: Session, ids: Collection[str]) -> set[str]:
    """Those of the ids that are in the merged audit."""
    return set(session.scalars(select(TrailEntry.id).where(TrailEntry.id.in_(ids))))


def trail(
    organization_id: str,
    *,
    filters: dict[str, Any],
    changes_only: bool = False,
    masked: bool = False,
) -> Select[Any]:
    """The merged audit of an organization, newest first: each entry and its ClientAddress, if there
    is one.

    ``changes_only``: without denied attempts. ``masked``: for readers who must not learn which of
    the provider's staff gave support, so that no filter reveals it."""
    query: Any = (
        select(TrailEntry, ClientAddress)
        .outerjoin(ClientAddress, ClientAddress.id == TrailEntry.id)
        .where(TrailEntry.organization_id == organization_id)
    )
    if changes_only:
        query = query.where(TrailEntry.outcome == "ok")
    for name, wanted in filters.items():
        if name == "actor":
            query = query.where(_acted(wanted, masked))
        else:
            query = query.where(_CONDITIONS[name](wanted))
    return query.order_by(TrailEntry.at.desc(), TrailEntry.id.desc())


def trail_before(session: Session, query: Select[Any], last: TrailEntry | None) -> Sequence[Any]:
    """The batch of ``trail``'s rows that follows ``last``; the first one if it is None."""
    if last is not None:
        position = tuple_(
            literal(last.at, TrailEntry.at.type), literal(last.id, TrailEntry.id.type)
        )
        query = query.where(tuple_(TrailEntry.at, TrailEntry.id) < position)
    return session.execute(query.limit(MAX_BATCH)).all()


def _acted(actor: str, masked: bool) -> ColumnElement[bool]:
    """Rows of this person, or of everyone who gave support."""
    if actor == values.SUPPORT:
        return TrailEntry.actor_kind == values.SUPPORT
    by_id = TrailEntry.actor_id == actor
    if masked:
        return and_(by_id, TrailEntry.actor_kind.is_distinct_from(values.SUPPORT))
    return by_id
