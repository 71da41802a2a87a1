"""INSERT with ON CONFLICT on both databases."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(session: Session, table: Any) -> postgresql.Insert:
    """An INSERT into the table or mapped class that knows ``on_conflict_do_nothing`` and
    ``on_conflict_do_update``, for the session's database.

    The type is PostgreSQL's; SQLite's has the same methods."""
    if is_postgresql(session):
        return postgresql.insert(table)
    return sqlite.insert(table)  # type: ignore[return-value]


def is_postgresql(session: Session) -> bool:
    """Whether the session's database is PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"
