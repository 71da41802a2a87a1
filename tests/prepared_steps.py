"""What tests prepare by the same steps: the steps are taken once, and what is in the databases then
is copied and put back for every other test.

    steps = Steps(Files([path]), copies)  # copies: a dictionary of the session
    customer = steps.once("customer", open_customer)

A step is put back only where the same steps led to it and nothing else has written to the databases
since the last of them; otherwise it is taken as usual. So a test that prepares something of its own
first sees what it would see without copies, and the order of tests does not matter.
"""

import copy
import sqlite3
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import MetaData, create_engine

T = TypeVar("T")
Copies = dict[tuple[Hashable, ...], tuple[Any, Any]]
MOST_COPIES = 300
_RESTORE = """
DO $$ DECLARE protected text; BEGIN
    FOR protected IN SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal LOOP
        EXECUTE 'ALTER TABLE ' || protected || ' DISABLE TRIGGER USER';
    END LOOP;
    {statements};
    FOR protected IN SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal LOOP
        EXECUTE 'ALTER TABLE ' || protected || ' ENABLE TRIGGER USER';
    END LOOP;
END $$
"""
_RESET_SEQUENCES = """
    PERFORM setval(format('%I.%I', schemaname, sequencename), 1, false)
    FROM pg_sequences WHERE schemaname = 'public'"""
_SEQUENCES = """
    SELECT format('PERFORM setval(''%I.%I'', %s)', schemaname, sequencename, last_value)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"""


class Contents(Protocol):
    """The contents of one or several databases."""

    def version(self) -> Any:
        """Changes with every write."""

    def keep(self) -> Any:
        """A copy."""

    def restore(self, kept: Any) -> None:
        """Make the contents those of the copy."""

    def close(self) -> None:
        """Close every connection."""


class Steps:
    """The steps that one test has taken from a known beginning."""

    def __init__(self, contents: Contents, copies: Copies) -> None:
        self._contents, self._copies = contents, copies
        self._taken: tuple[Hashable, ...] | None = ()
        self._version = contents.version()

    def once(self, step: Hashable, take: Callable[[], T]) -> T:
        """Take the step, or put back what it led to when it was taken after the same steps; its
        result."""
        if self._taken is None or self._version != self._contents.version():
            self._taken = None
            return take()
        taken = (*self._taken, step)
        if taken in self._copies:
            result, kept = self._copies[taken] = self._copies.pop(taken)  # now the newest
            self._contents.restore(kept)
        else:
            self._taken = None  # steps within this one are part of it
            result = take()
            self._copies[taken] = copy.deepcopy(result), self._contents.keep()
            if len(self._copies) > MOST_COPIES:
                del self._copies[next(iter(self._copies))]
        self._taken, self._version = taken, self._contents.version()
        return copy.deepcopy(result)


class Files:
    """The contents of SQLite files. A file that has not been written since it was last copied or
    put back is not copied again."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._watchers = {path: sqlite3.connect(path, check_same_thread=False) for path in paths}
        self._writers = {
            path: sqlite3.connect(path, check_same_thread=False) for path in self._watchers
        }
        for writer in self._writers.values():
            writer.execute("PRAGMA synchronous = OFF")
        self._equal: dict[Path, tuple[int, sqlite3.Connection]] = {}

    def version(self) -> tuple[int, ...]:
        """Changes with every write."""
        return tuple(map(self._version, self._watchers))

    def keep(self) -> dict[Path, sqlite3.Connection]:
        """A copy, in memory."""
        kept = {}
        for path, watcher in self._watchers.items():
            version, equal = self._equal.get(path, (-1, None))
            if equal is None or version != self._version(path):
                version = self._version(path)
                equal = sqlite3.connect(":memory:", check_same_thread=False)
                watcher.backup(equal)
                self._equal[path] = version, equal
            kept[path] = equal
        return kept

    def restore(self, kept: dict[Path, sqlite3.Connection]) -> None:
        """Make the contents those of the copy."""
        for path, wanted in kept.items():
            version, equal = self._equal.get(path, (-1, None))
            if equal is not wanted or version != self._version(path):
                wanted.backup(self._writers[path])
                self._equal[path] = self._version(path), wanted

    def close(self) -> None:
        """Release the files."""
        for connection in (*self._watchers.values(), *self._writers.values()):
            connection.close()

    def _version(self, path: Path) -> int:
        return int(self._watchers[path].execute("PRAGMA data_version").fetchone()[0])


class PostgresDatabase:
    """The contents of a migrated database, as its owner. Copies are schemas in it."""

    def __init__(self, owner_url: str) -> None:
        self._engine, metadata = create_engine(owner_url, pool_size=1), MetaData()
        metadata.reflect(self._engine)
        # Who is referred to before who refers.
        self._tables = [
            table.name
            for table in metadata.sorted_tables
            if not table.name.startswith("alembic_version")
        ]
        # Rows are deleted, which for few of them is much faster than TRUNCATE.
        self._deletes = [f'DELETE FROM "{name}"' for name in reversed(self._tables)]
        self._copies = 0

    def version(self) -> str:
        """Changes with every write, to any database of the server."""
        with self._engine.begin() as connection:
            query = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
            return str(connection.exec_driver_sql(query).scalar_one())

    def empty(self) -> None:
        """Delete every row."""
        self._run([*self._deletes, _RESET_SEQUENCES])

    def keep(self) -> list[str]:
        """A copy: the statements that put it back."""
        self._copies += 1
        schema = f"copy_{self._copies}"
        with self._engine.begin() as connection:
            filled = [
                name
                for name in self._tables
                if connection.exec_driver_sql(f'SELECT 1 FROM "{name}" LIMIT 1').first()
            ]
            copies = [f'CREATE TABLE {schema}."{name}" AS TABLE "{name}"' for name in filled]
            together = "; ".join([f"CREATE SCHEMA {schema}", *copies])
            connection.exec_driver_sql(f"DO $$ BEGIN {together}; END $$")
            sequences = list(connection.exec_driver_sql(_SEQUENCES.replace("%", "%%")).scalars())
        inserts = [
            f'INSERT INTO "{name}" OVERRIDING SYSTEM VALUE SELECT * FROM {schema}."{name}"'
            for name in filled
        ]
        return [*self._deletes, _RESET_SEQUENCES, *inserts, *sequences]

    def restore(self, kept: list[str]) -> None:
        """Make the contents those of the copy."""
        self._run(kept)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _run(self, statements: list[str]) -> None:
        with self._engine.begin() as connection:
            together = _RESTORE.format(statements="; ".join(statements))
            connection.exec_driver_sql(together.replace("%", "%%"))
