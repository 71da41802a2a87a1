"""Migrations keep the rows of existing databases."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from chassis.db import migrations
from chassis.runtime import log
from org.app import SERVICE

pytestmark = pytest.mark.both_databases
EMAILS = ("a@straße.example", "a@strasse.example", "a，b@x.example")


def filled(table: sa.Table, **given: Any) -> dict[str, Any]:
    """A row with something in each column that needs a value."""
    samples = {str: "x", int: 0, bool: False, datetime: datetime(2026, 1, 1, tzinfo=UTC), dict: {}}
    needed = [column for column in table.columns if not column.nullable]
    return {column.name: samples.get(_python_type(column), "x") for column in needed} | given


def _python_type(column: sa.Column[Any]) -> type:
    if isinstance(column.type, sa.JSON):
        return dict
    return column.type.python_type


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_billing_addresses_whose_mail_went_elsewhere_are_listed(
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("org").owner_url
    log.start(service="org")  # to the output of this test
    migrations.upgrade(SERVICE.migrations, url, "0004")
    engine = sa.create_engine(url)
    table = sa.Table("organizations", sa.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        for email in EMAILS:
            one = uuid.uuid4() if database == "postgresql" else uuid.uuid4().hex
            row = filled(table, id=one, provider_id=one, billing_email=email, limit_now="0")
            row["owner"] = {"email": email, "verified": True}
            connection.execute(sa.insert(table).values(row))

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        owners = connection.scalars(sa.select(table.c.owner)).all()
    engine.dispose()
    assert {owner["email"]: owner["verified"] for owner in owners} == {
        EMAILS[0]: False,
        EMAILS[1]: True,
        EMAILS[2]: True,
    }
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sorted(line["event"] for line in logged if line["event"].startswith("address.")) == [
        "address.invalid",
        "address.was_elsewhere",
    ]
    assert not any(email in line for email in EMAILS for line in map(str, logged))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_credit_limits_are_read_as_numbers(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("org").owner_url
    migrations.upgrade(SERVICE.migrations, url, "0010")
    engine = sa.create_engine(url)
    table = sa.Table("organizations", sa.MetaData(), autoload_with=engine)
    limits = {"0": 0, "2000.00": 2_000_000_000, "12.500001": 12_500_001}
    with engine.begin() as connection:
        for limit in limits:
            one = uuid.uuid4() if database == "postgresql" else uuid.uuid4().hex
            row = filled(table, id=one, provider_id=one, limit_now=limit)
            connection.execute(sa.insert(table).values(row))

    migrations.upgrade(SERVICE.migrations, url)

    table = sa.Table("organizations", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table.c.limit_now, table.c.limit_units)).all()
    engine.dispose()
    assert {limit: units for limit, units in rows} == limits
