"""Migrated databases in a hurry: a service is migrated once per engine and run; each test gets it empty.

SQLite: the migrated file is copied. PostgreSQL: the tables of the one database are emptied again.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis import migrate
from chassis.service import Service
from chassis.sql import Database
from sqlalchemy import create_engine

ENGINES = ("sqlite", "postgresql")
_EMPTY_ALL = """
DO $$ DECLARE listed text; BEGIN
    SELECT string_agg(quote_ident(tablename), ', ') INTO listed
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version';
    EXECUTE 'TRUNCATE ' || listed || ' RESTART IDENTITY CASCADE';
END $$
"""


@dataclass(frozen=True)
class Schema:
    """What a database is to hold; ``prepare`` is given the address its owner uses."""

    name: str
    prepare: Callable[[str], None]


def schema_of(service: Service) -> Schema:
    """A service's own: all its migrations."""
    return Schema(service.name, lambda url: migrate.upgrade(service.migrations, url))


class Shelf:
    """What has been prepared in this run, by name and engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        self._urls: dict[str, Any] = {}

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
            made = postgres.fresh_database(schema.name)
            schema.prepare(made.owner_url)
            self._urls[schema.name] = made
        return self._urls[schema.name]


@contextmanager
def migrated(
    service: Service | Schema, engine: str, *, shelf: Shelf, folder: Path,
    postgres: Callable[[], Any] | None = None, pool_size: int = 10,
) -> Iterator[Database]:
    """The service's database, migrated and empty, opened as the service opens it.

    ``postgres`` answers the server; it is asked only where the engine is PostgreSQL."""
    schema = service if isinstance(service, Schema) else schema_of(service)
    if engine == "sqlite":
        path = folder / f"{schema.name}.db"
        shutil.copy(shelf.file(schema), path)
        database = Database(f"sqlite:///{path}", pool_size=pool_size)
    else:
        assert postgres is not None
        urls = shelf.urls(schema, postgres())
        empty(urls.owner_url)
        database = Database(urls.app_url, pool_size=pool_size)
    try:
        yield database
    finally:
        database.close()


def empty(owner_url: str) -> None:
    """Empty every table of a PostgreSQL database."""
    engine = create_engine(owner_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(_EMPTY_ALL)
    engine.dispose()
