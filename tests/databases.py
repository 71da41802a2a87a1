"""Migrated databases, quickly: a service is migrated once per database engine and worker, and each
test gets it empty.

SQLite: the migrated file is copied. PostgreSQL: the one database is emptied again, which takes less
time than copying a template.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.db import migrations
from chassis.db.database import Database
from chassis.runtime.service import Service
from sqlalchemy import event

from tests.prepared_steps import PostgresDatabase

ENGINES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Schema:
    """The contents of a database; ``prepare`` is given the URL its owner uses."""

    name: str
    prepare: Callable[[str], None]


def schema_of(service: Service) -> Schema:
    """That of a service: all its migrations."""
    return Schema(service.name, lambda url: migrations.upgrade(service.migrations, url))


def be_patient(server: Any, database: Any) -> Any:
    """Let a service wait for locks and statements for as long as a busy machine may take; what it
    does when they time out is tested elsewhere. The database."""
    for setting in ("lock_timeout = '60s'", "statement_timeout = '120s'"):
        server.psql(f'ALTER ROLE "{database.name}_app" SET {setting};')
    return may_pause(server, database)


def may_pause(server: Any, database: Any) -> Any:
    """Let a test that gets no processor time pause within a transaction. The database."""
    server.psql(
        f"ALTER ROLE \"{database.name}_app\" SET idle_in_transaction_session_timeout = '120s';"
    )
    return database


class PreparedDatabases:
    """The databases of this worker that have been migrated, by name and engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        self._urls: dict[str, Any] = {}
        self._open: dict[tuple[str, int], Database] = {}
        self._contents: dict[str, PostgresDatabase] = {}

    def file(self, schema: Schema) -> Path:
        """A prepared SQLite file, to be copied."""
        if schema.name not in self._files:
            path = self.folder / f"{schema.name}.db"
            schema.prepare(f"sqlite:///{path}")
            self._files[schema.name] = path
        return self._files[schema.name]

    def urls(self, schema: Schema, postgres: Any) -> Any:
        """A prepared PostgreSQL database: ``owner_url`` and ``app_url``."""
        if schema.name not in self._urls:
            made = may_pause(postgres, postgres.fresh_database(schema.name))
            schema.prepare(made.owner_url)
            self._urls[schema.name] = made
        return self._urls[schema.name]

    def contents(self, schema: Schema, postgres: Any) -> PostgresDatabase:
        """Those of the prepared PostgreSQL database."""
        if schema.name not in self._contents:
            owner_url = self.urls(schema, postgres).owner_url
            self._contents[schema.name] = PostgresDatabase(owner_url)
        return self._contents[schema.name]

    def opened(self, schema: Schema, postgres: Any, pool_size: int) -> Database:
        """A prepared PostgreSQL database, emptied; opened once, for that takes longer than most
        tests."""
        urls = self.urls(schema, postgres)
        self.contents(schema, postgres).empty()
        database = self._open.setdefault(
            (schema.name, pool_size), Database(urls.app_url, pool_size=pool_size)
        )
        database.on_publish.clear()
        return database

    def close(self) -> None:
        """Close every connection."""
        for database in self._open.values():
            database.close()
        for contents in self._contents.values():
            contents.close()


@contextmanager
def migrated(
    service: Service | Schema,
    engine: str,
    *,
    prepared_databases: PreparedDatabases,
    folder: Path,
    postgres: Callable[[], Any] | None = None,
    pool_size: int = 10,
) -> Iterator[Database]:
    """The service's database, migrated and empty, opened as the service opens it.

    ``postgres`` answers the server; it is asked only where the engine is PostgreSQL."""
    schema = service if isinstance(service, Schema) else schema_of(service)
    if engine == "postgresql":
        assert postgres is not None
        yield prepared_databases.opened(schema, postgres(), pool_size)
        return
    path = folder / f"{schema.name}.db"
    shutil.copy(prepared_databases.file(schema), path)
    database = Database(f"sqlite:///{path}", pool_size=pool_size)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that the database executes meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
