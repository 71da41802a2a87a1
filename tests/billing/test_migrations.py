"""The migrations give exactly the models, on both databases, and a journal nobody can rewrite."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from billing import actions
from billing.app import SERVICE
from billing.models import Base
from chassis import clock, sql
from sqlalchemy import MetaData, text
from sqlalchemy.exc import DBAPIError


def test_the_database_is_as_the_models_say(database):
    wanted = MetaData(naming_convention=Base.metadata.naming_convention)
    for metadata in (Base.metadata, sql.Base.metadata):
        for table in metadata.tables.values():
            table.to_metadata(wanted)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, wanted)
    assert found == []


def test_head_names_the_newest_revision():
    newest = max(path.name for path in (SERVICE.migrations / "versions").glob("[0-9]*.py"))
    assert (SERVICE.migrations / "HEAD").read_text().strip() == newest.partition("_")[0]


@pytest.mark.parametrize("change", ["UPDATE journal SET amount = 2", "DELETE FROM journal"])
def test_the_journal_can_not_be_changed(world, change):
    world.top_up(world.open(), "1")
    with pytest.raises(DBAPIError, match=r"append-only|permission denied"), world.database.transaction() as session:
        session.execute(text(change))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", ["UPDATE journal SET amount = 2", "DELETE FROM journal", "TRUNCATE journal"])
def test_not_even_its_owner_rewrites_the_journal(world, postgres, change):
    world.top_up(world.open(), "1")
    name = world.database.url.rpartition("/")[2]
    owner = sql.Database(postgres.url(name))
    with pytest.raises(DBAPIError, match="append-only"), owner.transaction() as session:
        session.execute(text(change))
    owner.close()
    with pytest.raises(DBAPIError, match="permission denied"), world.database.transaction() as session:
        session.execute(text(change))


@pytest.mark.parametrize("change", ["prepaid = 1", "held = -1", "unbilled = -1", "payment_mode = 'x'"])
def test_the_database_itself_refuses_what_can_not_be(world, change):
    org = world.open()
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id="d", now=clock.now())
    with pytest.raises(DBAPIError), world.database.transaction() as session:
        session.execute(text(f"UPDATE accounts SET {change} WHERE status = 'closed'"))
