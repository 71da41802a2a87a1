"""Where the chassis' own migrations are, the table with their revision, and whether a database is
as new as the code. Separate from ``migrations``, which loads Alembic."""

from pathlib import Path

from sqlalchemy import inspect, text

from chassis.db.database import Database
from chassis.runtime.readiness import Check, NotReady

CHASSIS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version_chassis"
SERVICE_VERSION_TABLE = "alembic_version"


def head(migrations: Path) -> str:
    """The newest revision of a folder of migrations."""
    return (migrations / "HEAD").read_text().strip()


def check(database: Database, migrations: Path, *, shared: bool = True) -> Check:
    """A check that raises NotReady while the database is older than the code. A newer one is
    right: while a new version is deployed, its migrations come first.

    ``shared``: whether the service also uses the tables of the chassis."""
    needed = {SERVICE_VERSION_TABLE: head(migrations)}
    if shared:
        needed[VERSION_TABLE] = head(CHASSIS)

    def is_current() -> None:
        for table, revision in needed.items():
            current = _revision(database, table)
            if int(current) < int(revision):
                raise NotReady(f"{table} is {current}, the code needs {revision}: run migrate")

    return is_current


def _revision(database: Database, table: str) -> str:
    with database.reading() as session:
        if not inspect(session.connection()).has_table(table):
            return "0000"
        query = text(f"SELECT max(version_num) FROM {table}")  # noqa: S608 - ours
        return session.scalar(query) or "0000"
