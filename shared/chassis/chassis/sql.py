"""The database: one engine per process, one visible transaction per knock, the column types both
engines share."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Uuid,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Session as Session  # noqa: PLC0414 - doors take it from here
from sqlalchemy.types import TypeDecorator

from chassis import ids

BigInt = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")
# What transactions that nobody asked for come from: a run of a job.
cause: ContextVar[str] = ContextVar("cause", default="")


def metadata() -> MetaData:
    """Fresh metadata; constraint names follow one convention so that refusals can recognise
    them."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Base(DeclarativeBase):
    """What the chassis' own tables stand on; each service has a base of its own beside it."""

    metadata = metadata()


class Id(TypeDecorator[str]):
    """A TypeID column: ``org_…`` in the code, a native UUID in the database. A UUID is taken as it
    is."""

    impl = Uuid
    cache_ok = True

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        super().__init__()

    def process_bind_param(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        return (
            value
            if value is None or isinstance(value, uuid.UUID)
            else ids.to_uuid(self.prefix, value)
        )

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else ids.of_uuid(self.prefix, value)


class Instant(TypeDecorator[datetime]):
    """A UTC instant with microseconds, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """An engine and its transactions. Build it after fork."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.on_said: list[Callable[[], None]] = []
        self.engine = _engine(url, pool_size)
        # SQLite has one writer; who waits for it inside SQLite sleeps, who waits here is woken.
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )
        self._reader = self.engine.execution_options(
            **({"read_only": True} if self.is_sqlite else {"postgresql_readonly": True})
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded footing's database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self, *, correlation: str = "", causation: str = "") -> Iterator[Session]:
        """One unit of work: committed when the block ends, rolled back when it raises. What is said
        inside carries ``correlation`` and ``causation``; the relay is woken after the commit."""
        with self._turn, Session(self.engine, expire_on_commit=False) as session:
            session.info.update(correlation=correlation or cause.get(), causation=causation)
            with session.begin():
                yield session
        if session.info.get("said"):
            for wake in self.on_said:
                wake()

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Session]:
        """A session that only looks. ``snapshot``: all it sees is of one instant, as on SQLite it
        always is, and what it asks may take its time."""
        with Session(self._reader, expire_on_commit=False) as session:
            if snapshot and not self.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                session.execute(text("SET LOCAL statement_timeout = 0"))
            yield session

    def check(self) -> None:
        """Raise unless the database answers."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _engine(url: str, pool_size: int) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 2,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 5000,
        },
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # we say BEGIN ourselves, so that a writer takes its lock at once
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    reading = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
