"""Single statements on a connection of the pool, outside SQLAlchemy's sessions, which would take
longer than a short statement itself. For what most requests do.

Each statement is a transaction of its own, unless ``rows`` is given a session. On PostgreSQL it is
prepared when a connection first runs it, and its errors are those that SQLAlchemy raises.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chassis.db.health import READ_ONLY

Convert = Callable[[Any], Any]


class _Compiled(NamedTuple):
    """``converted``: what parameters and columns need of SQLAlchemy's types, by name and by
    position."""

    text: str
    defaults: Mapping[str, Any]
    bound: Mapping[str, Convert]
    make_row: Callable[[Sequence[Any]], Any]
    converted: Sequence[tuple[int, Convert]]


class Statement:
    """A statement with named parameters, compiled once for each kind of database.

    ``clause``: a SELECT, or a text with ``columns``.
    """

    def __init__(self, clause: Any) -> None:
        self.clause = clause
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: Dialect) -> _Compiled:
        """The statement in the database's language."""
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = _compile(self.clause, dialect)
        return self._compiled[dialect.name]


class Direct:
    """A connection for single statements."""

    def __init__(self, engine: Engine, connection: Any) -> None:
        self._engine, self._connection = engine, connection
        self.is_postgresql = engine.dialect.name == "postgresql"
        self._options = {"prepare": True} if self.is_postgresql else {}

    def rows(self, statement: Statement, parameters: Mapping[str, Any]) -> list[Any]:
        """Run the statement; returns its rows as named tuples. Raises DBAPIError."""
        compiled = statement.compiled(self._engine.dialect)
        values = {**compiled.defaults, **parameters}
        for name, convert in compiled.bound.items():
            values[name] = convert(values[name])
        rows = self._fetch(compiled.text, values)
        if not compiled.converted:
            return [compiled.make_row(row) for row in rows]
        return [_converted(row, compiled) for row in rows]

    def _fetch(self, text: str, values: Mapping[str, Any]) -> list[Any]:
        with self._errors_of(text):
            rows: list[Any] = self._connection.execute(text, values, **self._options).fetchall()
        return rows

    def copy(self, statement: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Send rows with PostgreSQL's COPY, values of these types. Raises DBAPIError."""
        with (
            self._errors_of(statement),
            self._connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def start(self) -> None:
        """Make each statement a transaction of its own, as long as the pool does not have the
        connection back. Raises DBAPIError."""
        if self.is_postgresql:
            with self._errors_of(None):
                self._connection.autocommit = True

    def end(self) -> bool:
        """Undo ``start``; whether the connection can be used again."""
        if not self.is_postgresql:
            return True
        if self._connection.closed:
            return False
        try:
            self._connection.autocommit = False
        except self._engine.dialect.loaded_dbapi.Error:
            return False
        return True

    def confirm(self) -> None:
        """Raise DBAPIError if it is unknown whether what was written is stored."""
        with self._errors_of(None):
            self._connection.commit()

    @contextmanager
    def _errors_of(self, text: str | None) -> Iterator[None]:
        base: Any = self._engine.dialect.loaded_dbapi.Error
        try:
            yield
        except base as problem:
            has_ended = self._engine.dialect.is_disconnect(problem, self._connection, None)
            if getattr(problem, "sqlstate", None) == READ_ONLY:
                self._engine.dispose()  # new connections, perhaps to another server
                has_ended = True
            raise _failure(self._engine, text, problem, has_ended) from problem


@contextmanager
def connection(engine: Engine) -> Iterator[Direct]:
    """A connection of the engine's pool. Raises DBAPIError, or TimeoutError if none is free."""
    base: Any = engine.dialect.loaded_dbapi.Error
    try:
        pooled = engine.raw_connection()
    except base as problem:
        raise _failure(engine, None, problem, True) from problem
    used = Direct(engine, pooled.driver_connection)
    try:
        used.start()
        yield used
    finally:
        if not used.end():
            pooled.invalidate()
        pooled.close()


@contextmanager
def connection_of(session: Session) -> Iterator[Direct]:
    """The connection of the session's transaction. Raises DBAPIError."""
    connection = session.connection()
    try:
        yield Direct(connection.engine, connection.connection.driver_connection)
    except DBAPIError as problem:
        if problem.connection_invalidated:
            connection.invalidate(problem)  # or the rollback would fail with another error
        raise


def rows(
    change: Session | Direct, statement: Statement, parameters: Mapping[str, Any]
) -> Sequence[Any]:
    """The rows of the statement, in a session's transaction or directly."""
    if isinstance(change, Direct):
        return change.rows(statement, parameters)
    with connection_of(change) as connection:
        return connection.rows(statement, parameters)


def _failure(engine: Engine, text: str | None, problem: Exception, has_ended: bool) -> Exception:
    base: Any = engine.dialect.loaded_dbapi.Error
    return DBAPIError.instance(
        text, None, problem, base, hide_parameters=True, connection_invalidated=has_ended
    )


def _compile(clause: Any, dialect: Dialect) -> _Compiled:
    named: Dialect = sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
    compiled = clause.compile(dialect=named)
    bound = {
        name: convert
        for parameter, name in compiled.bind_names.items()
        if (convert := parameter.type.dialect_impl(named).bind_processor(named))
    }
    columns = list(clause.selected_columns)
    converted = [
        (position, convert)
        for position, column in enumerate(columns)
        if (convert := column.type.dialect_impl(named).result_processor(named, None))
    ]
    make: Any = namedtuple  # its names are known only here
    row = make("Row", [column.key for column in columns])
    return _Compiled(str(compiled), compiled.params, bound, row._make, converted)


def _converted(row: Sequence[Any], compiled: _Compiled) -> Any:
    values = list(row)
    for position, convert in compiled.converted:
        values[position] = convert(values[position])
    return compiled.make_row(values)
