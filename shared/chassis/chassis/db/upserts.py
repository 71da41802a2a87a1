"""INSERT with ON CONFLICT on both databases."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(session: Session, table: Any) -> postgresql.Insert:
    """An INSERT into the table or mapped class that knows ``on_conflict_do_nothing`` and
    ``on_conflict_do_update``, for the session's database."""
    return insert_for(session.get_bind().dialect.name, table)


def insert_for(dialect_name: str, table: Any) -> postgresql.Insert:
    """The same for a dialect, for statements that are made once.

    The type is PostgreSQL's; SQLite's has the same methods."""
    if dialect_name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)  # type: ignore[return-value]


def is_postgresql(session: Session) -> bool:
    """Whether the session's database is PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"
