"""The database: one engine per process, one visible transaction per request, message or job."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as Session  # noqa: PLC0414 - for views and listeners

from chassis.auth.actor import Client
from chassis.db import direct, retries, unit_of_work
from chassis.db.direct import Direct, Statement
from chassis.db.turns import WriterLock

# The correlation of transactions without a request or message: the run of a job.
cause: ContextVar[str] = ContextVar("cause", default="")


class ReadOnly(Exception):
    """The database can be read but not changed."""


class Database:
    """An engine and its transactions. Create it after fork."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.on_publish: list[Callable[[], object]] = []
        self.on_change: list[Callable[[], object]] = []
        self.engine = _engine(url, pool_size)
        # SQLite has one writer. Waiting for it inside SQLite means polling, waiting here does not.
        self._turn: AbstractContextManager[object] = (
            WriterLock() if self.is_sqlite else nullcontext()
        )
        self._reader = self.engine.execution_options(
            **({"read_only": True} if self.is_sqlite else {"postgresql_readonly": True})
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the database of embedded mode."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(
        self,
        *,
        correlation: str = "",
        causation: str = "",
        client: Client | None = None,
        upkeep: bool = False,
    ) -> Iterator[Session]:
        """One unit of work: committed when the block ends, rolled back when it raises.

        Messages and audit rows that were collected are written at its end, with ``correlation``
        (a request id), ``causation`` (a message id) and the ``client`` of the request. After the
        commit the relay is woken if there are messages, and the jobs unless one of them made the
        change, or it is ``upkeep``: something a process writes only for itself."""
        with self._turn, Session(self.engine, expire_on_commit=False) as session:
            session.info.update(
                correlation=correlation or cause.get(), causation=causation, client=client
            )
            with session.begin():
                yield session
                unit_of_work.write_collected(session)
        if session.info.get("published"):
            for wake in self.on_publish:
                wake()
        if not upkeep and not cause.get():
            self._changed()

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Session]:
        """A read-only session. ``snapshot``: all queries see the same instant, as they always do on
        SQLite, and have no time limit."""
        with Session(self._reader, expire_on_commit=False) as session:
            if snapshot and not self.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                session.execute(text("SET LOCAL statement_timeout = 0"))
            yield session

    @contextmanager
    def one_change(self) -> Iterator[Session | Direct]:
        """For queries and then a single statement that changes something and nothing that is
        collected: a transaction on SQLite. On PostgreSQL that statement is a transaction of its
        own, and what the queries read is not locked."""
        if self.is_sqlite:
            with self.transaction() as session:
                yield session
            return
        with direct.connection(self.engine) as connection:
            yield connection
            connection.confirm()
        self._changed()

    def _changed(self) -> None:
        for wake in self.on_change:
            wake()

    def rows(self, query: Statement, **parameters: Any) -> list[Any]:
        """The rows of a single query, as named tuples. If its connection has ended, it runs again
        on another one."""
        try:
            with retries.unchecked_connections():
                return self._rows(query, parameters)
        except DBAPIError as problem:
            if not problem.connection_invalidated:
                raise
        return self._rows(query, parameters)

    def _rows(self, query: Statement, parameters: Mapping[str, Any]) -> list[Any]:
        with direct.connection(self.engine) as connection:
            return connection.rows(query, parameters)

    def check(self) -> None:
        """Raise unless the database can be written. On PostgreSQL the transaction gets a number, so
        that its commit is written to the log."""
        with self._turn, self.engine.begin() as connection:
            if self.is_sqlite:
                return
            query = text("SELECT current_setting('transaction_read_only'), pg_current_xact_id()")
            read_only = connection.execute(query).one()[0] == "on"
        if read_only:
            self.engine.dispose()  # a new connection may lead to another server
            raise ReadOnly("the database accepts no changes")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str, pool_size: int) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            # The connection that was used last has most in its cache.
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={"check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    from chassis.db import postgres  # the driver takes long to import

    return postgres.create(url, pool_size)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # We send BEGIN ourselves, so that a writer takes its lock immediately.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    reading = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
