"""Many rows at once: the ways in which a batch gets into the database.

Up to ``FEW`` rows go as arrays in one statement, more through COPY. SQLite takes one after the
other in one call."""

from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table, Text, any_, bindparam, cast, column, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

FEW = 50
Row = Sequence[Any]


def insert_rows(
    session: Session,
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    conflict: Callable[[Any], Any] | None = None,
    copy: bool | None = None,
) -> None:
    """Insert the rows, whose values stand in the order of ``names``; ids may be UUIDs.

    ``conflict``: what makes of an insert one that says what to do ON CONFLICT, of which COPY knows nothing;
    ``copy``: through COPY or not, whatever their number."""
    if copy is None:
        copy = len(rows) > FEW and conflict is None
    if not is_postgresql(session):
        statement = sqlite.insert(table)
        session.connection().execute(
            conflict(statement) if conflict else statement, _named(names, rows)
        )
    elif copy:
        _copy_rows(session, table, names, rows)
    else:
        source = postgresql.insert(table).from_select(
            list(names), select(_unfolded(table, names, rows))
        )
        session.connection().execute(conflict(source) if conflict else source)


def update_rows(
    session: Session, table: Table, key: str, names: Sequence[str], rows: Sequence[Row]
) -> None:
    """Set ``names`` of the rows with that ``key``, one after the other; each of ``rows`` begins
    with it."""
    statement = update(table).where(table.c[key] == bindparam("the_key", type_=table.c[key].type))
    session.connection().execute(
        statement.values({name: bindparam(name) for name in names}),
        _named(("the_key", *names), rows),
    )


def among(session: Session, wanted: Any, values: Collection[Any]) -> Any:
    """The condition that a column has one of these values; on PostgreSQL always the same statement,
    however many."""
    if is_postgresql(session):
        return wanted == any_(cast(literal(array(values), Text), postgresql.ARRAY(wanted.type)))
    return wanted.in_(values)


def array(values: Collection[Any]) -> str:
    """Numbers, UUIDs or texts as PostgreSQL writes an array; many times faster than having them
    adapted one by one."""
    first = next(iter(values), None)
    if isinstance(first, UUID):
        values = [value.hex for value in values]
    elif isinstance(first, str):
        values = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    return "{" + ",".join(map(str, values)) + "}"


def is_postgresql(session: Session) -> bool:
    """Which of the two databases it is."""
    return session.get_bind().dialect.name == "postgresql"


def _named(names: Sequence[str], rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _unfolded(table: Table, names: Sequence[str], rows: Sequence[Row]) -> Any:
    """The rows as a table made of one array per column."""
    types = [table.c[name].type for name in names]
    arrays = [
        literal(list(values), postgresql.ARRAY(type_))
        for type_, values in zip(types, zip(*rows, strict=True), strict=True)
    ]
    columns = [column(name, type_) for name, type_ in zip(names, types, strict=True)]
    return func.unnest(*arrays).table_valued(*columns, name="new").render_derived()


def _copy_rows(session: Session, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    connection = session.connection()
    driver: Any = connection.connection
    types = [
        table.c[name].type.compile(dialect=connection.dialect).lower().partition("(")[0]
        for name in names
    ]
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)") as into,
    ):
        into.set_types(types)
        for row in rows:
            into.write_row(row)
