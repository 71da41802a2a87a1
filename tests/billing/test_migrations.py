"""The migrations produce exactly the models, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from billing import actions
from billing.app import SERVICE
from billing.models import Base
from chassis.db import columns
from chassis.db.migrations import VERSION_TABLE
from chassis.runtime import clock
from sqlalchemy import MetaData, text
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
