"""Migrations: each service has its own, linear, for both databases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData

from chassis.db.columns import Base, BigInt, Id, Instant, Json
from chassis.db.database import Database
from chassis.messaging import inbox_models, outbox, relay  # noqa: F401 - their tables belong to every service


def config(migrations: Path, url: str) -> Config:
    """The alembic configuration of a service's migrations."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations))
    settings.attributes["url"] = url
    return settings


def upgrade(migrations: Path, url: str, revision: str = "head") -> None:
    """Bring the database up to date."""
    command.upgrade(config(migrations, url), revision)


def run_environment(metadata: MetaData, *, shared: bool = True) -> None:
    """What a service's ``migrations/env.py`` calls. ``shared``: whether it has the tables of
    messages and audit too."""
    tables: Sequence[MetaData] = [Base.metadata, metadata] if shared else [metadata]
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", target_metadata=tables, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    database = Database(str(context.config.attributes["url"]))
    try:
        with database.engine.connect() as connection:
            _run(connection, tables)
            connection.commit()
    finally:
        database.close()


def _run(connection: Connection, tables: Sequence[MetaData]) -> None:
    context.configure(
        connection=connection,
        target_metadata=tables,
        render_as_batch=False,
        compare_type=True,
        render_item=_render,
    )
    with context.begin_transaction():
        context.run_migrations()


def _render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """How our column types are written in a new migration: as what they are in the database."""
    if kind != "type":
        return False
    if item is Json:
        return "chassis.db.columns.Json"
    if item is BigInt:
        return "chassis.db.columns.BigInt"
    if isinstance(item, Id):
        return "sa.Uuid()"
    return "sa.DateTime(timezone=True)" if isinstance(item, Instant) else False
