"""Migrations: linear in each service, for both databases.

The chassis has its own migrations for its tables, in ``versions`` next to this file. They run
before those of a service and have their own version table.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, inspect, text

from chassis.audit import models as audit_models  # noqa: F401 - its tables
from chassis.db import idempotency_keys, leases  # noqa: F401 - their tables
from chassis.db.columns import Base, BigInt, Id, Instant, Json
from chassis.db.database import Database
from chassis.db.schema import CHASSIS, VERSION_TABLE
from chassis.messaging import inbox_models, outbox  # noqa: F401 - their tables

__all__ = ["CHASSIS", "VERSION_TABLE", "config", "is_foreign", "run_environment", "upgrade"]

LOCK_TIMEOUT_MS = 5000
# Any number that nothing else locks in this database.
_LOCK = 7_041_905_282


def config(migrations: Path, url: str) -> Config:
    """The Alembic configuration of a folder of migrations."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations))
    settings.attributes["url"] = url
    return settings


def upgrade(migrations: Path, url: str, revision: str = "head", *, shared: bool = True) -> None:
    """Bring the database up to date, or to this revision of the service's own migrations. Of
    several processes that do it at once, one does the work and the others wait for it.

    ``shared``: whether the service also uses the tables of the chassis."""
    with _one_at_a_time(url):
        if shared:
            chassis = config(CHASSIS, url)
            if existing := _existing_revision(url):
                command.stamp(chassis, existing)
            command.upgrade(chassis, "head")
        command.upgrade(config(migrations, url), revision)


def run_environment(metadata: MetaData) -> None:
    """Run migrations; called by the ``env.py`` of a service or of the chassis."""
    options = _options(metadata)
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    database = Database(context.config.attributes["url"])
    try:
        with database.engine.connect() as connection:
            _run(connection, options)
            connection.commit()
    finally:
        database.close()


def is_foreign(metadata: MetaData, table: str) -> bool:
    """Whether a table in the database belongs to other migrations than those of the metadata."""
    if table == VERSION_TABLE:
        return True
    return metadata is not Base.metadata and table in Base.metadata.tables


@contextmanager
def _one_at_a_time(url: str) -> Iterator[None]:
    """Wait until no other process migrates this database, for as long as that takes."""
    database = Database(url, pool_size=1)
    try:
        with database.engine.connect() as connection:
            if not database.is_sqlite:
                # In a transaction, because a pooler may take the connection away after it.
                for limit in ("lock_timeout", "idle_in_transaction_session_timeout"):
                    connection.execute(text(f"SET LOCAL {limit} = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield
    finally:
        database.close()


def _existing_revision(url: str) -> str:
    """The revision of the chassis' tables where services created them, as all did before the
    chassis had migrations; empty if there is nothing to adopt."""
    database = Database(url)
    try:
        tables = inspect(database.engine)
        if tables.has_table(VERSION_TABLE) or not tables.has_table("audit_entries"):
            return ""
        columns = {column["name"] for column in tables.get_columns("audit_entries")}
        return "0002" if "digests" in columns else "0001"
    finally:
        database.close()


def _options(metadata: MetaData) -> dict[str, Any]:
    def include_name(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or not is_foreign(metadata, name or "")

    options: dict[str, Any] = {
        "target_metadata": metadata,
        "render_as_batch": False,
        "compare_type": True,
        "render_item": _render,
        "include_name": include_name,
    }
    if metadata is Base.metadata:
        options["version_table"] = VERSION_TABLE
        options["include_name"] = None
    return options


def _run(connection: Connection, options: dict[str, Any]) -> None:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Everyone else would wait behind a migration that waits for a lock. It is run again.
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_MS}ms'"))
        context.run_migrations()


def _render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """How our column types are written in a generated migration: by their type in the database."""
    if kind != "type":
        return False
    if item is Json:
        return "chassis.db.columns.Json"
    if item is BigInt:
        return "chassis.db.columns.BigInt"
    if isinstance(item, Id):
        return "sa.Uuid()"
    return "sa.DateTime(timezone=True)" if isinstance(item, Instant) else False
