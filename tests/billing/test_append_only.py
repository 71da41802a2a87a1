"""The journal is append-only: neither the application nor the tables' owner can change it."""

import pytest
from billing import actions
from chassis import audit
from chassis.audit import AuditEntry
from chassis.runtime import clock, ids
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

pytestmark = pytest.mark.both_databases

CHANGES = [
    "UPDATE journal SET amount = 2",
    "DELETE FROM journal",
    "UPDATE allocations SET amount = 2",
    "DELETE FROM allocations",
]


def attempt(database, statement):
    with database.transaction() as session:
        session.execute(text(statement))


def test_rows_are_added_and_never_changed(world):
    org = world.open("postpaid", limit="10")
    world.top_up(org, "1")
    world.withdraw(org, "0.5")
    before = world.stored_rows(org)[1:]
    for change in CHANGES:
        with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
            attempt(world.database, change)
    world.top_up(org, "2")
    assert world.stored_rows(org)[1:-1] == before


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", [*CHANGES, "TRUNCATE journal", "TRUNCATE allocations"])
def test_the_application_may_not_change_the_journal_and_the_owner_is_refused(world, owner, change):
    org = world.open("postpaid", limit="10")
    world.top_up(org, "1")
    world.withdraw(org, "0.5")
    with pytest.raises(DBAPIError) as refused:
        attempt(world.database, change)
    assert refused.value.orig.sqlstate == "42501"
    with pytest.raises(DBAPIError, match="append-only"):
        attempt(owner, change)


def test_the_audit_log_of_a_sealed_account_has_no_names_and_is_intact(world):
    org, other = world.open(), world.open()
    for one in (org, other):
        world.top_up(one, "1")
        world.withdraw(one, "1")
    for act in (actions.close_account, actions.seal_account):
        with world.database.transaction() as session:
            act(session, organization_id=org, deletion_id=ids.new("del"), now=clock.now())
    world.post(
        org,
        "top-ups",
        {"amount": "1", "method": "cash"},
        token=world.token("customer", "admin", org),
    )

    def labels(one):
        with world.database.reading(snapshot=True) as session:
            assert list(audit.verify(session, one)) == []
            return {
                row.actor["label"]
                for row in session.scalars(
                    select(AuditEntry).where(AuditEntry.organization_id == one)
                )
            }

    assert labels(org) <= {"Erased", "System"}
    assert "Erased" not in labels(other)
    with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
        attempt(world.database, "UPDATE audit_entries SET action = 'x'")
