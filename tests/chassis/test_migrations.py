"""The chassis' own migrations, in new databases and in those from before it had any."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from chassis.db import migrations
from chassis.db.columns import Base
from org.app import SERVICE
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError

TABLES = set(Base.metadata.tables)
HEAD = (migrations.CHASSIS / "HEAD").read_text().strip()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Returns the URL of a new, empty database."""
    created = []

    def create() -> str:
        created.append(1)
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path / str(len(created))}.db"
        return str(request.getfixturevalue("postgres").fresh_database("org").owner_url)

    return create


@pytest.fixture
def new_postgres_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgres").fresh_database("org").owner_url)


def scalar(url: str, statement: str) -> object:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return connection.execute(text(statement)).scalar()
    finally:
        engine.dispose()


def execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def schema(url: str) -> dict[str, object]:
    """The columns and indexes of the chassis' tables."""
    engine = create_engine(url)
    inspector = inspect(engine)
    described = {
        table: (
            [(column["name"], str(column["type"])) for column in inspector.get_columns(table)],
            sorted(str(index["name"]) for index in inspector.get_indexes(table)),
        )
        for table in TABLES
    }
    engine.dispose()
    return described


def create_old(url: str, revision: str) -> None:
    """A database as it was before the chassis had its own migrations: the same tables, but no
    revision of them."""
    command.upgrade(migrations.config(migrations.CHASSIS, url), revision)
    execute(url, f"DROP TABLE {migrations.VERSION_TABLE}")
    migrations_before = {"0001": "0001", "0002": "head"}
    command.upgrade(migrations.config(SERVICE.migrations, url), migrations_before[revision])
    execute(
        url,
        "INSERT INTO audit_heads (organization_id, number, hash) VALUES "
        f"('{'0' * 31}1', 7, '{'a' * 64}')",
    )
    execute(
        url,
        "INSERT INTO dead_letters (id, digest, reason, detail, body, size, attempts, laid_aside_at)"
        f" VALUES ('{'0' * 31}2', '1', 'failed', 'x', '1', 1, 4, '2026-03-01 12:00:00+00:00')",
    )


def test_a_new_database_has_the_tables_and_a_separate_revision(new_url: Callable[[], str]) -> None:
    url = new_url()

    migrations.upgrade(SERVICE.migrations, url)

    assert scalar(url, f"SELECT version_num FROM {migrations.VERSION_TABLE}") == HEAD
    service_head = (SERVICE.migrations / "HEAD").read_text().strip()
    assert scalar(url, "SELECT version_num FROM alembic_version") == service_head


def test_a_service_without_the_chassis_has_none_of_its_tables(tmp_path: Path) -> None:
    from console.app import MIGRATIONS

    url = f"sqlite:///{tmp_path / 'console.db'}"

    migrations.upgrade(MIGRATIONS, url, shared=False)

    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    assert not names & (TABLES | {migrations.VERSION_TABLE})


def test_an_existing_database_is_adopted_with_its_rows(new_url: Callable[[], str]) -> None:
    old, new = new_url(), new_url()
    create_old(old, "0002")

    migrations.upgrade(SERVICE.migrations, old)
    migrations.upgrade(SERVICE.migrations, old)

    migrations.upgrade(SERVICE.migrations, new)
    assert scalar(old, "SELECT number FROM audit_heads") == 7
    assert scalar(old, "SELECT count(*) FROM dead_letters WHERE published_by IS NULL") == 1
    assert scalar(old, f"SELECT version_num FROM {migrations.VERSION_TABLE}") == HEAD
    assert schema(old) == schema(new)


def test_a_database_from_before_the_audit_was_protected_is_upgraded(
    new_url: Callable[[], str],
) -> None:
    old, new = new_url(), new_url()
    create_old(old, "0001")

    migrations.upgrade(SERVICE.migrations, old)

    migrations.upgrade(SERVICE.migrations, new)
    assert scalar(old, "SELECT number FROM audit_heads") == 7
    assert not scalar(old, "SELECT erased FROM audit_heads")
    assert schema(old) == schema(new)


def test_a_migration_that_meets_a_lock_fails_soon_and_can_be_run_again(
    new_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 100)
    migrations.upgrade(migrations.CHASSIS, new_postgres_url, "0003", shared=False)
    engine = create_engine(new_postgres_url)
    with engine.begin() as reader:
        reader.execute(text("SELECT * FROM relay_leases"))
        with pytest.raises(OperationalError, match="lock timeout"):
            migrations.upgrade(migrations.CHASSIS, new_postgres_url, shared=False)
    engine.dispose()

    migrations.upgrade(migrations.CHASSIS, new_postgres_url, shared=False)


def test_of_several_migrations_at_once_one_does_the_work(new_postgres_url: str) -> None:
    together = threading.Barrier(3)

    def migrate() -> None:
        together.wait()
        migrations.upgrade(SERVICE.migrations, new_postgres_url)

    with ThreadPoolExecutor(3) as pool:
        for running in [pool.submit(migrate) for _ in range(3)]:
            running.result()

    assert scalar(new_postgres_url, "SELECT version_num FROM alembic_version") is not None
