"""Bulk SQL: writing many rows with few statements.

On PostgreSQL more than ``MAX_PLAIN_ROWS`` rows go through COPY, or as arrays in one statement where
rows may exist. SQLite takes them one after the other in one call.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from chassis.db import direct, upserts
from chassis.db.upserts import is_postgresql

MAX_PLAIN_ROWS = 50
Row = Sequence[Any]
_JSON = Text().with_variant(postgresql.JSON(), "postgresql")


def insert_rows(
    session: Session,
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    conflict: Callable[[Any], Any] | None = None,
) -> None:
    """Insert the rows, whose values are in the order of ``names``; ids may be UUIDs.

    ``conflict``, a function of a module, adds an ON CONFLICT clause to the insert, which COPY does
    not support.
    """
    if is_postgresql(session):
        if conflict is None and len(rows) > MAX_PLAIN_ROWS:
            copy_rows(session, table, names, rows)
            return
        if conflict is not None:
            source = select(_unnested(table, names, rows))
            statement = upserts.insert(session, table).from_select(list(names), source)
            session.connection().execute(conflict(statement))
            return
    statement = _insert(session.get_bind().dialect.name, table, conflict)
    values = _named(names, rows)
    # As a list, a single row takes the driver longer.
    session.connection().execute(statement, values[0] if len(values) == 1 else values)


def on_conflict_do_nothing(statement: Any) -> Any:
    """A ``conflict`` that skips rows that exist."""
    return statement.on_conflict_do_nothing()


def update_rows(
    session: Session, table: Table, key: str, names: Sequence[str], rows: Sequence[Row]
) -> None:
    """Set ``names`` of the rows with that ``key``; each of ``rows`` starts with it. Ids are UUIDs,
    other values numbers, texts or times."""
    if len(rows) > MAX_PLAIN_ROWS and is_postgresql(session):
        new = _unnested(table, (key, *names), rows, _as_text)
        statement = update(table).where(table.c[key] == new.c[key])
        session.connection().execute(statement.values({name: new.c[name] for name in names}))
        return
    statement = _update(table, key, tuple(names))
    session.connection().execute(statement, _named(("the_key", *names), rows))


def among(column: Any, parameter: str) -> Mapping[str, Any]:
    """For each kind of database, the condition that a column has one of the values of a parameter,
    for statements that are made once. ``array`` makes the parameter on PostgreSQL."""
    values = cast(bindparam(parameter, type_=Text), postgresql.ARRAY(column.type))
    return {
        "postgresql": column == any_(values),
        "sqlite": column.in_(bindparam(parameter, expanding=True)),
    }


def given_rows(session: Session, name: str, types: Mapping[str, Any], rows: Sequence[Row]) -> Any:
    """The rows as a table expression with columns of these types, for queries that join them. Their
    number does not change the statement. Values are ids (UUIDs), numbers, days and instants."""
    if is_postgresql(session):
        texts = [dict(zip(types, row, strict=True)) for row in rows]
        given = func.json_to_recordset(_json_parameter(texts, str))
        columns = [column(key, type_) for key, type_ in types.items()]
        return given.table_valued(*columns, name=name).render_derived(with_types=True)
    each = func.json_each(_json_parameter([list(row) for row in rows], _on_sqlite))
    values = each.table_valued("value").c.value
    return select(
        *(
            type_coerce(func.json_extract(values, f"$[{place}]"), type_).label(key)
            for place, (key, type_) in enumerate(types.items())
        )
    ).subquery(name)


def array_parameter(name: str, kind: str) -> str:
    """SQL for a parameter that is an array of this type.

    The planner cannot see how many elements it has, so it keeps one plan for all executions.
    """
    return f"(SELECT CAST(:{name} AS {kind}[]))"


def array(values: Collection[Any]) -> str:
    """Numbers, texts or UUIDs as a PostgreSQL array literal.

    Many times faster than having the driver adapt the values one by one.
    """
    first = next(iter(values), None)
    if isinstance(first, UUID):
        texts: Iterable[str] = [value.hex for value in values]
    elif isinstance(first, str):
        texts = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    else:
        texts = map(str, values)
    return "{" + ",".join(texts) + "}"


# Made once: making a statement takes longer than running it.
@cache
def _insert(dialect_name: str, table: Table, conflict: Callable[[Any], Any] | None) -> Any:
    statement = upserts.insert_for(dialect_name, table)
    return statement if conflict is None else conflict(statement)


@cache
def _update(table: Table, key: str, names: tuple[str, ...]) -> Any:
    statement = update(table).where(table.c[key] == bindparam("the_key", type_=table.c[key].type))
    return statement.values({name: bindparam(name) for name in names})


def _named(names: Sequence[str], rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _json_parameter(rows: Any, as_text: Callable[[Any], str]) -> Any:
    return cast(literal(json.dumps(rows, default=as_text), Text), _JSON)


def _on_sqlite(value: Any) -> str:
    """An id, a day or an instant as SQLAlchemy stores it in SQLite."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    assert isinstance(value, date)
    return value.isoformat()


def _as_array(values: Sequence[Any], type_: Any) -> Any:
    return literal(list(values), postgresql.ARRAY(type_))


def _as_text(values: Sequence[Any], type_: Any) -> Any:
    if None in values:
        return _as_array(values, type_)
    return cast(literal(array(values), Text), postgresql.ARRAY(type_))


def _unnested(
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
    as_array: Callable[[Sequence[Any], Any], Any] = _as_array,
) -> Any:
    """The rows as a table expression made of one array per column."""
    types = [table.c[name].type for name in names]
    arrays = [
        as_array(values, type_)
        for type_, values in zip(types, zip(*rows, strict=True), strict=True)
    ]
    columns = [column(name, type_) for name, type_ in zip(names, types, strict=True)]
    return func.unnest(*arrays).table_valued(*columns, name="new").render_derived()


def copy_rows(session: Session, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert the rows with COPY, on PostgreSQL."""
    dialect = session.get_bind().dialect
    compiled = [table.c[name].type.compile(dialect=dialect) for name in names]
    types = [type_.lower().partition("(")[0] for type_ in compiled]
    statement = f"COPY {table.name} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
    with direct.connection_of(session) as connection:
        connection.copy(statement, types, rows)
