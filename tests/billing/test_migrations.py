"""The migrations produce exactly the models, on both databases."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from billing import actions
from billing.app import SERVICE
from billing.models import Base
from chassis.db import columns, migrations
from chassis.db.migrations import VERSION_TABLE
from chassis.runtime import clock
from sqlalchemy import MetaData, Table, create_engine, select, text
from sqlalchemy.exc import DBAPIError

pytestmark = pytest.mark.both_databases


def test_the_schema_matches_the_models(database):
    wanted = MetaData(naming_convention=Base.metadata.naming_convention)
    for metadata in (Base.metadata, columns.Base.metadata):
        for table in metadata.tables.values():
            table.to_metadata(wanted)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_name": lambda name, *_: name != VERSION_TABLE},
        )
        differences = compare_metadata(context, wanted)
    assert differences == []


def test_head_names_the_newest_revision():
    newest = max(path.name for path in (SERVICE.migrations / "versions").glob("[0-9]*.py"))
    assert (SERVICE.migrations / "HEAD").read_text().strip() == newest.partition("_")[0]


@pytest.mark.parametrize(
    "change", ["prepaid = 1", "held = -1", "unbilled = -1", "payment_mode = 'x'"]
)
def test_the_database_refuses_invalid_rows(world, change):
    org = world.open()
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id="d", now=clock.now())
    with pytest.raises(DBAPIError), world.database.transaction() as session:
        session.execute(text(f"UPDATE accounts SET {change} WHERE status = 'closed'"))


def test_automatic_top_ups_of_postpaid_accounts_are_turned_off(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0004")
    engine = create_engine(url)
    accounts = Table("accounts", MetaData(), autoload_with=engine)
    required = {
        "currency": "SGD",
        "status": "open",
        "name": "Acme",
        "country": "SG",
        "timezone": "UTC",
        "billing": "{}",
        "buyer_tags": "{}",
        "opened_at": clock.now(),
        "auto_enabled": True,
        "provider_id": f"{1:032}",
        **dict.fromkeys(("credit_limit", "prepaid", "surplus", "unbilled", "invoiced"), 0),
        **dict.fromkeys(("held", "in_flight", "seq", "on_wallet"), 0),
    }
    with engine.begin() as connection:
        for number, mode in enumerate(("prepaid", "postpaid")):
            row = {**required, "organization_id": f"{number:032}", "payment_mode": mode}
            connection.execute(accounts.insert().values(row))

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        enabled = connection.execute(select(accounts.c.payment_mode, accounts.c.auto_enabled)).all()
    engine.dispose()
    assert {mode: bool(is_on) for mode, is_on in enabled} == {"prepaid": True, "postpaid": False}


def test_every_day_keeps_the_tax_that_it_had() -> None:
    joined_rates = _migration("0008_taxes").joined_rates
    rates = [
        _rate("SG", "GST", "9", "2024-01-01"),
        _rate("SG", "old", "7", "2020-01-01"),
        _rate("SG", "late", "5", "2024-01-01"),
        _rate("SG", "GST", "10", "2025-01-01"),
        _rate("DE", "MwSt", "19", "2021-01-01"),
    ]

    joined = joined_rates(rates)

    assert joined == [
        rates[4],
        rates[1],
        rates[0],
        _rate("SG", "old", "0", "2024-01-01"),
        rates[3],
    ]
    assert joined_rates(joined) == joined


def _rate(country: str, name: str, rate: str, day: str) -> dict[str, str]:
    return {"country": country, "name": name, "rate": rate, "valid_from": day}


def _migration(name: str) -> ModuleType:
    path = SERVICE.migrations / "versions" / f"{name}.py"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
