"""Taking the names of erased people out of audit rows that go on naming others.

Their number is not limited, so that a transaction does a batch and a job the rest. Rows may also
still be written for a moment, by transactions and tokens from before: the job looks for them for an
hour.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.parts import IMPERSONAL_FIELDS
from sqlalchemy import literal_column, select, text, update
from sqlalchemy.orm import Session

from chassis.audit.models import NAMINGS, AuditEntry, ErasedPerson
from chassis.db import upserts
from chassis.names import REMOVED_PERSON

WATCHED_FOR = timedelta(hours=1)
MAX_BATCH = 500


def remember(session: Session, people: Iterable[str], now: datetime) -> None:
    """Store who was erased; nothing changes for those who are stored already."""
    rows = [{"id": id_, "erased_at": now, "watched": True} for id_ in sorted(set(people))]
    statement = upserts.insert(session, ErasedPerson).on_conflict_do_nothing(index_elements=["id"])
    session.connection().execute(statement, rows)


def ids_in(row: Any) -> set[str]:
    """The ids of whom a row may name."""
    acting = row.actor.get("acting") or {}
    return {id_ for id_ in (row.actor.get("id"), acting.get("sub"), row.target.get("id")) if id_}


def erased_among(session: Session, ids: Collection[str]) -> set[str]:
    """Those of the ids that belong to erased people."""
    return set(session.scalars(select(ErasedPerson.id).where(ErasedPerson.id.in_(ids))))


def actors_on(session: Session, target_id: str) -> Collection[str]:
    """The ids of those who did something to this target, as far as its name is still in the rows
    about it."""
    actor, _, target = NAMINGS
    of_it = (literal_column(target.id) == target_id, text(target.still))
    query: Any = select(literal_column(actor.id)).select_from(AuditEntry).where(*of_it).distinct()
    return [id_ for id_ in session.scalars(query) if id_]


def without_people(row: Any, people: Collection[str]) -> dict[str, Any]:
    """The columns of a row that change when the names of these people are taken out. Who did it, to
    whom and which fields were changed stays; of a person's own row also values that are not
    personal. The reason, which is free text, stays as it is."""
    changed: dict[str, Any] = {}
    actor, target = row.actor, row.target
    acting = actor.get("acting") or {}
    if actor.get("id") in people:
        changed["actor"] = actor = {**actor, "label": REMOVED_PERSON}
    if acting.get("sub") in people:
        changed["actor"] = {**actor, "acting": {**acting, "name": REMOVED_PERSON}}
    if target.get("id") in people:
        changed["target"] = {**target, "label": REMOVED_PERSON}
        changed["changes"] = [_without_values(change) for change in row.changes]
    return changed


def erased_people_in(session: Session, rows: Iterable[Any]) -> set[str]:
    """The ids of erased people whom these rows may name."""
    return erased_among(session, set().union(*(ids_in(row) for row in rows)))


def take_out_people(row: Any, people: Collection[str]) -> None:
    """Take the names of these people out of a row that is not in the database yet."""
    for column, value in without_people(row, people).items():
        setattr(row, column, value)


def erase_batch(
    session: Session, table: Any, people: Collection[str] | None = None, **cleared: None
) -> Sequence[str]:
    """Take the names of erased people, of these or of all that are watched, out of a batch of the
    rows of a table with the columns of an audit row; returns the ids of the rows. ``cleared``:
    columns to empty as well. Rows that are locked are left for the next time."""
    wanted: Any = people
    if people is None:
        wanted = select(ErasedPerson.id).where(ErasedPerson.watched)
    row_ids: set[str] = set()
    for naming in NAMINGS:
        of_them = (literal_column(naming.id).in_(wanted), text(naming.still))
        query = select(table.id).where(*of_them, table.erased.is_(False)).limit(MAX_BATCH)
        row_ids.update(session.scalars(query))
    batch = select(table.id, table.actor, table.target, table.changes)
    batch = batch.where(table.id.in_(sorted(row_ids)[:MAX_BATCH])).order_by(table.id)
    rows = session.execute(batch.with_for_update(skip_locked=True)).all()
    erased = erased_people_in(session, rows)
    if rows:
        changed = [{**row._mapping, **without_people(row, erased), **cleared} for row in rows]
        session.execute(update(table), changed)
    return [row.id for row in rows]


def erase_more(session: Session, *, now: datetime, done: int = 0) -> int:
    """Take the names of erased people out of another batch of the audit log, until nothing is left
    to do and the time in which rows may still be written is over. ``done``: how much the caller did
    in tables of its own; returns the sum."""
    done += len(erase_batch(session, AuditEntry, salt=None))
    if not done:
        session.execute(
            update(ErasedPerson)
            .where(ErasedPerson.watched, ErasedPerson.erased_at < now - WATCHED_FOR)
            .values(watched=False)
        )
    return done


def _without_values(change: dict[str, Any]) -> dict[str, Any]:
    if change.get("field") in IMPERSONAL_FIELDS:
        return change
    return {
        part: REMOVED_PERSON if part != "field" and value is not None else value
        for part, value in change.items()
    }
