"""Migrated databases in a hurry: a service is migrated once per engine and run; each test gets it empty.

SQLite: the migrated file is copied. PostgreSQL: the tables of the one database are emptied again.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chassis import migrate
from chassis.service import Service
from chassis.sql import Database
from sqlalchemy import create_engine

ENGINES = ("sqlite", "postgresql")
_EMPTY_ALL = """
DO $$ DECLARE listed text; BEGIN
    SELECT string_agg(format('%I', tablename), ', ') INTO listed
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version';
    EXECUTE 'TRUNCATE ' || listed || ' RESTART IDENTITY CASCADE';
END $$
"""


class Shelf:
    """What has been migrated in this run, by service and engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        self._urls: dict[str, Any] = {}

    def file(self, service: Service) -> Path:
        """A migrated SQLite file, to be copied."""
        if service.name not in self._files:
            path = self.folder / f"{service.name}.db"
            migrate.upgrade(service.migrations, f"sqlite:///{path}")
            self._files[service.name] = path
        return self._files[service.name]

    def urls(self, service: Service, postgres: Any) -> Any:
        """A migrated PostgreSQL database: ``owner_url`` and ``app_url``."""
        if service.name not in self._urls:
            made = postgres.fresh_database(service.name)
            migrate.upgrade(service.migrations, made.owner_url)
            self._urls[service.name] = made
        return self._urls[service.name]


@contextmanager
def migrated(
    service: Service, engine: str, *, shelf: Shelf, folder: Path, postgres: Any = None, pool_size: int = 10
) -> Iterator[Database]:
    """The service's database, migrated and empty, opened as the service opens it.

    ``postgres`` is asked for its server only where the engine is PostgreSQL: a callable that answers it."""
    if engine == "sqlite":
        path = folder / f"{service.name}.db"
        shutil.copy(shelf.file(service), path)
        database = Database(f"sqlite:///{path}", pool_size=pool_size)
    else:
        urls = shelf.urls(service, postgres())
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
