"""Writing what was posted: on PostgreSQL with one statement, however many accounts and rows.

Accounts travel as arrays and journal rows as JSON, because the types of SQLAlchemy and the driver
would cost more than the statement. Many journal rows go through COPY instead.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from chassis.db import direct, stored_answers
from chassis.db.bulk_sql import (
    MAX_PLAIN_ROWS,
    array,
    array_parameter,
    copy_rows,
    insert_rows,
    on_conflict_do_nothing,
    update_rows,
)
from chassis.db.direct import Direct, Statement
from chassis.db.stored_answers import Answers
from chassis.db.upserts import is_postgresql
from chassis.runtime import ids
from sqlalchemy import case, column, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.actions.ledger.entries import Posted
from billing.models import Account, Entry, Reservation, Spending, UnpublishedBalance
from billing.models.journal import Row
from billing.models.reservation import Held
from billing.models.snapshot import CHANGED, Snapshot
from billing.values import MAX_STORED

_ACCOUNTS: Any = Account.__table__
_JOURNAL: Any = Entry.__table__
_RESERVATIONS: Any = Reservation.__table__
_SPENDINGS: Any = Spending.__table__
_UNPUBLISHED: Any = UnpublishedBalance.__table__
_STORED = ("id", *CHANGED, "spent", "version")
_SETTLING = ("captured", "released", "status", "settled_at")


class _Batch(NamedTuple):
    """Everything that one transaction writes. ``columns``: further ones of the accounts."""

    rows: list[Row]
    changed: list[Snapshot]
    reservations: list[Held]
    answers: Answers
    now: datetime
    columns: Mapping[str, Sequence[Any]] = MappingProxyType({})


def write(
    session: Session,
    posted: Sequence[Posted],
    *,
    now: datetime,
    columns: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> None:
    """Write the rows, the accounts, their reservations and today's spending; note what is to be
    published, and whether credits run low. ``columns``: further ones of the accounts, with a value
    for each of ``posted``, which are of different accounts then."""
    if not posted:
        return
    batch = _batch(posted, (), now)._replace(columns=columns)
    if not is_postgresql(session):
        _write_sqlite(session, batch)
    elif len(batch.rows) > MAX_PLAIN_ROWS:
        copy_rows(session, _JOURNAL, Row._fields, batch.rows)
        _write_postgresql(session, batch._replace(rows=[]))
    else:
        _write_postgresql(session, batch)
    alerts.check_snapshots(session, batch.changed, now)


def write_unchanged(
    change: Session | Direct, posted: Sequence[Posted], answers: Answers, *, now: datetime
) -> set[UUID]:
    """Write what was posted to accounts that are neither locked nor changed since they were read,
    and the answers that concern them; returns these accounts. A single statement on PostgreSQL.
    ``change``: a connection to PostgreSQL, or a session of SQLite, which has locked the whole
    database.

    An account about which something has to be noted, because credits run low, is left out too.
    """
    posted = [each for each in posted if not alerts.calls_for_note(each.snapshot)]
    if not posted:
        return set()
    snapshots = {each.snapshot.id for each in posted}
    batch = _batch(posted, [each for each in answers if each[0] in snapshots], now)
    if isinstance(change, Session):
        _write_sqlite(change, batch)
        return snapshots
    statement, values = _statement_of(batch, versions=True)
    return {row.organization_id for row in change.rows(statement, values)}


def _batch(posted: Sequence[Posted], answers: Answers, now: datetime) -> _Batch:
    rows = [row for each in posted for row in each.rows]
    changed = list({id(each.snapshot): each.snapshot for each in posted}.values())
    return _Batch(rows, changed, _reservations(posted), answers, now)


def _reservations(posted: Sequence[Posted]) -> list[Held]:
    """The last state of each reservation that was changed."""
    last = {}
    for each in posted:
        held = each.posting.held
        if held is not None:
            last[held.organization_id, held.id] = held
    return list(last.values())


def _write_postgresql(session: Session, batch: _Batch) -> None:
    statement, values = _statement_of(batch, versions=False)
    direct.rows(session, statement, values)


def _statement_of(batch: _Batch, *, versions: bool) -> tuple[Statement, dict[str, Any]]:
    names = _STORED if versions else _STORED[:-1]
    stored = zip(*map(attrgetter(*names), batch.changed), strict=True)
    values = {
        **dict(zip(names, map(array, stored), strict=True)),
        **{name: array(values) for name, values in batch.columns.items()},
        "rows": _json([row._asdict() for row in batch.rows]),
        "day": queries.utc_day(batch.now),
        "max_stored": MAX_STORED,
    }
    if batch.reservations:
        values["reservations"] = _json(
            [{**held._asdict(), "id": ids.to_uuid("res", held.id)} for held in batch.reservations]
        )
    if batch.answers:
        values["answers"] = stored_answers.answers_parameter(batch.answers, batch.now)
    statement = _statement(
        bool(batch.reservations), bool(batch.answers), versions, tuple(batch.columns)
    )
    return statement, values


def _write_sqlite(session: Session, batch: _Batch) -> None:
    insert_rows(session, _JOURNAL, Row._fields, batch.rows)
    further = zip(*batch.columns.values(), strict=True) if batch.columns else repeat(())
    stored = [
        (each.id, *(getattr(each, name) for name in CHANGED), *values)
        for each, values in zip(batch.changed, further, strict=False)
    ]
    update_rows(session, _ACCOUNTS, "organization_id", (*CHANGED, *batch.columns), stored)
    day = queries.utc_day(batch.now)
    spent = [(each.id, day, each.spent) for each in batch.changed if each.spent]
    if spent:
        columns = ("organization_id", "day", "amount")
        insert_rows(session, _SPENDINGS, columns, spent, conflict=_add_to_spending)
    if batch.reservations:
        insert_rows(session, _RESERVATIONS, Held._fields, batch.reservations, conflict=_settle)
    unpublished = [(each.id,) for each in batch.changed]
    insert_rows(
        session, _UNPUBLISHED, ("organization_id",), unpublished, conflict=on_conflict_do_nothing
    )
    if batch.answers:
        stored_answers.store(session, batch.answers, batch.now)


def _add_to_spending(statement: Any) -> Any:
    stored, added = _SPENDINGS.c.amount, statement.excluded.amount
    total = case((stored > MAX_STORED - added, MAX_STORED), else_=stored + added)
    return statement.on_conflict_do_update(
        index_elements=["organization_id", "day"], set_={"amount": total}
    )


def _settle(statement: Any) -> Any:
    return statement.on_conflict_do_update(
        index_elements=["organization_id", "id"],
        set_={name: statement.excluded[name] for name in _SETTLING},
    )


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return json.dumps(rows, default=_text)


def _text(value: Any) -> str:
    """A UUID or an instant as PostgreSQL reads it."""
    return value.hex if isinstance(value, UUID) else str(value)


def _recordset(parameter: str, table: Any, names: Iterable[str]) -> str:
    """The rows of a JSON parameter, with the types that the columns have in the table."""
    types = [f"{name} {_type_of(table, name)}" for name in names]
    return f"json_to_recordset(CAST(:{parameter} AS json)) AS new ({', '.join(types)})"


def _type_of(table: Any, name: str) -> str:
    dialect: Any = postgresql.dialect  # its constructor is not typed
    return str(table.c[name].type.compile(dialect=dialect()))


_LOCKED = """
    changed AS (
        SELECT * FROM unnest({id}, {arrays}) AS changed (organization_id, {changed})
    )"""
_UNCHANGED = """
    given AS (
        SELECT * FROM unnest({id}, {arrays}, {version})
            AS given (organization_id, {changed}, version)
    ), unchanged AS (
        SELECT organization_id FROM accounts JOIN given USING (organization_id)
        WHERE CAST(accounts.xmin AS text) = given.version
        FOR NO KEY UPDATE OF accounts SKIP LOCKED
    ), changed AS (
        SELECT given.* FROM given JOIN unchanged USING (organization_id)
    )"""
_POSTING = """, stored AS (
        UPDATE accounts SET {changes}
        FROM changed WHERE accounts.organization_id = changed.organization_id
    ), posted AS (
        INSERT INTO journal ({columns})
        SELECT new.* FROM {rows} JOIN changed USING (organization_id)
    ), spent AS (
        INSERT INTO spendings (organization_id, day, amount)
        SELECT organization_id, :day, spent FROM changed WHERE spent > 0
        ON CONFLICT (organization_id, day) DO UPDATE
        SET amount = least(spendings.amount, :max_stored - excluded.amount) + excluded.amount
    ), unpublished AS (
        INSERT INTO unsaid_figures SELECT organization_id FROM changed ON CONFLICT DO NOTHING
    )"""
_RESERVED = """, reserved AS (
        INSERT INTO reservations ({reservation})
        SELECT new.* FROM {reservations} JOIN changed USING (organization_id)
        ON CONFLICT (organization_id, id) DO UPDATE SET {settling}
    )"""
_ANSWERED = f""", answered AS (
        {stored_answers.STORE} JOIN changed ON changed.organization_id = concerns
    )"""
_PARTS = {
    "id": array_parameter("id", "uuid"),
    "arrays": ", ".join(array_parameter(name, "bigint") for name in _STORED[1:-1]),
    "version": array_parameter("version", "text"),
    "changed": ", ".join(_STORED[1:-1]),
    "changes": ", ".join(f"{name} = changed.{name}" for name in CHANGED),
    "columns": ", ".join(Row._fields),
    "rows": _recordset("rows", _JOURNAL, Row._fields),
    "reservation": ", ".join(Held._fields),
    "reservations": _recordset("reservations", _RESERVATIONS, Held._fields),
    "settling": ", ".join(f"{name} = excluded.{name}" for name in _SETTLING),
}


@cache
def _statement(
    reservations: bool, answers: bool, versions: bool, columns: Sequence[str]
) -> Statement:
    template = "WITH" + (_UNCHANGED if versions else _LOCKED) + _POSTING
    if reservations:
        template += _RESERVED
    if answers:
        template += _ANSWERED
    template += " SELECT organization_id FROM changed"
    if not versions:
        template += " LIMIT 0"  # it is known which
    added = {
        "arrays": "".join(
            f", {array_parameter(name, _type_of(_ACCOUNTS, name))}" for name in columns
        ),
        "changed": "".join(f", {name}" for name in columns),
        "changes": "".join(f", {name} = changed.{name}" for name in columns),
    }
    for name, part in _PARTS.items():
        template = template.replace("{" + name + "}", part + added.get(name, ""))
    return Statement(text(template).columns(column("organization_id")))
