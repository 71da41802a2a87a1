"""Migrations: linear in each service, and what they build matches the models, on both databases."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from chassis.db import migrations
from chassis.db.columns import Base
from chassis.db.database import Database
from devtools.servers import Postgres

from tests.house.workspace import WITH_DATA, Project, listed

# They are part of the migrations, and are compared on PostgreSQL.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index",
    "ignore:autogenerate skipping metadata-specified expression-based index",
)
SERVICE = pytest.mark.parametrize("service", WITH_DATA, ids=lambda service: service.name)


def migrations_of(service: Project) -> Path:
    return service.package / "migrations"


def broken_sequence(folder: Path) -> list[str]:
    """Where the files in ``versions`` are not numbered in sequence up to HEAD."""
    files = sorted((folder / "versions").glob("*.py"))
    numbers = [file.name.partition("_")[0] for file in files]
    expected = [f"{n:04}" for n in range(1, len(files) + 1)]
    problems = [] if numbers == expected else [f"numbered {numbers}"]
    for file, number, before in zip(files, expected, [None, *expected], strict=False):
        text = file.read_text()
        problems += [
            f"{file.name} lacks {line}"
            for line in (f"revision = {_quoted(number)}", f"down_revision = {_quoted(before)}")
            if f"\n{line}\n" not in text.replace("'", '"')
        ]
    head = (folder / "HEAD").read_text().strip()
    return problems if head == expected[-1] else [*problems, f"HEAD is {head}"]


def differences(service: Project, url: str) -> list[Any]:
    """How an upgraded database differs from the models."""
    shared = hasattr(import_module(f"{service.name}.app"), "SERVICE")
    migrations.upgrade(migrations_of(service), url, shared=shared)
    metadata: list[sa.MetaData] = [import_module(f"{service.name}.models").Base.metadata]
    if shared:
        metadata.insert(0, Base.metadata)
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            opts = {
                "compare_type": True,
                "target_metadata": metadata,
                "include_name": lambda name, *_: name != migrations.VERSION_TABLE,
            }
            context = MigrationContext.configure(connection, opts=opts)
            return list(compare_metadata(context, metadata))  # type: ignore[arg-type]
    finally:
        database.close()


@SERVICE
def test_migrations_are_numbered_in_sequence(service: Project) -> None:
    assert not (broken := broken_sequence(migrations_of(service))), listed(broken)


def test_the_migrations_of_the_chassis_are_numbered_in_sequence() -> None:
    assert not (broken := broken_sequence(migrations.CHASSIS)), listed(broken)


@SERVICE
def test_migrations_build_what_the_models_declare_on_sqlite(
    service: Project, tmp_path: Path
) -> None:
    assert not (different := differences(service, f"sqlite:///{tmp_path / 'test.db'}")), listed(
        different
    )


@SERVICE
def test_migrations_build_what_the_models_declare_on_postgresql(
    service: Project, postgres: Postgres
) -> None:
    database = postgres.fresh_database(service.name)

    assert not (different := differences(service, database.owner_url)), listed(different)


@pytest.fixture
def forgotten() -> Iterator[sa.MetaData]:
    """A table in the models of org without a migration."""
    metadata: sa.MetaData = import_module("org.models").Base.metadata
    table = sa.Table("forgotten", metadata, sa.Column("id", sa.Integer, primary_key=True))
    yield metadata
    metadata.remove(table)


def test_a_missing_migration_is_found(forgotten: sa.MetaData, tmp_path: Path) -> None:
    org = next(service for service in WITH_DATA if service.name == "org")

    assert [change[0] for change in differences(org, f"sqlite:///{tmp_path / 'test.db'}")] == [
        "add_table"
    ]


def test_a_fork_and_a_stale_head_are_found(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "0001_a.py").write_text('\nrevision = "0001"\ndown_revision = None\n')
    (versions / "0002_b.py").write_text('\nrevision = "0002"\ndown_revision = "0001"\n')
    (versions / "0002_c.py").write_text('\nrevision = "0003"\ndown_revision = "0001"\n')
    (tmp_path / "HEAD").write_text("0002\n")

    assert broken_sequence(tmp_path) == [
        "numbered ['0001', '0002', '0002']",
        '0002_c.py lacks down_revision = "0002"',
        "HEAD is 0002",
    ]


def _quoted(number: str | None) -> str:
    return "None" if number is None else f'"{number}"'
