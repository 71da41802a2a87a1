"""Rows stay, without names once nobody may be named; damage is found."""

from typing import Any

import pytest
from chassis import audit
from chassis.audit import AuditEntry
from chassis.db import columns
from chassis.db.database import Database
from chassis.runtime import cli, ids
from contracts import billing, membership, org
from org import sagas
from org.app import SERVICE
from org.models import Base, TrailEntry
from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.databases import PreparedDatabases, schema_of
from tests.org.conftest import NOON, World
from tests.org.history.entries import AT, add_entry, audit_rows

pytestmark = pytest.mark.both_databases


def owner_of(world: World, prepared_databases: PreparedDatabases) -> Database:
    """The database as its owner sees it, who may do anything that triggers do not refuse."""
    if world.database.is_sqlite:
        return world.database
    return Database(prepared_databases.urls(schema_of(SERVICE), None).owner_url)


def attempt(database: Database, statement: str) -> None:
    with database.transaction() as session:
        session.execute(text(statement))


CHANGES = (
    "UPDATE {} SET action = 'x'",
    "UPDATE {} SET outcome = 'denied'",
    "UPDATE {} SET hash = ''",
    "UPDATE {} SET reason = 'because'",
    "UPDATE {} SET actor = '{{}}'",
    "DELETE FROM {}",
    "UPDATE {} SET erased = true",
    "UPDATE {} SET erased = true, reason = NULL, target = '{{}}'",
    "UPDATE {} SET erased = true, reason = NULL, target = '{{}}', "
    'actor = \'{{"label": "Erased"}}\'',
    "UPDATE {} SET organization_id = id",
    'UPDATE {} SET actor = \'{{"label": "Removed person"}}\'',
    'UPDATE {} SET target = \'{{"label": "Removed person"}}\', reason = NULL',
)


def test_rows_can_only_be_changed_to_erase_them(
    world: World, prepared_databases: PreparedDatabases
) -> None:
    add_entry(world, world.active(), reason="why")
    owner = owner_of(world, prepared_databases)

    for rows in ("audit_entries", "trail"):
        for change in (*CHANGES, *(() if world.database.is_sqlite else ("TRUNCATE {}",))):
            with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
                attempt(world.database, change.format(rows))
            with pytest.raises(DBAPIError, match="append-only"):
                attempt(owner, change.format(rows))


def test_erased_names_are_not_written_again(world: World) -> None:
    customer = world.active()
    add_entry(world, customer)
    with world.database.transaction() as session:
        audit.erase(session, customer)
        audit.erase_rows(session, TrailEntry, customer)

    for statement in (
        "UPDATE trail SET reason = 'x'",
        "UPDATE trail SET erased = false",
        "UPDATE audit_entries SET erased = false, salt = 'x'",
        "UPDATE audit_entries SET erased = true",
    ):
        with pytest.raises(DBAPIError, match="append-only"):
            attempt(world.database, statement)


def all_text(database: Database) -> str:
    """All that stands in the database, but for what waits to be said and what is remembered for a
    while."""
    texts = []
    with database.reading() as session:
        for metadata in (columns.Base.metadata, Base.metadata):
            assert isinstance(metadata, MetaData)
            for source in metadata.sorted_tables:
                if source.name not in ("outbox", "inbox", "idempotency_keys"):
                    texts += [repr(row) for row in session.execute(select(source)).all()]
    return "\n".join(texts)


def test_no_one_is_named_once_a_customer_is_deleted(world: World) -> None:
    customer = world.active(buyer_tags={"CustomerRef": "Max Muster"})
    world.call(
        "PATCH",
        f"/organizations/{customer}",
        {"billing": {"email": "max@muster.example"}},
        org=customer,
        headers={"If-Match": world.call("GET", f"/organizations/{customer}").headers["ETag"]},
    )
    add_entry(world, customer, reason="Olga wants it")
    names = ("Olga", "olga@", "bills@", "max@", "Max Muster", "Stella", "Somebody", "Clara")
    assert sum(name in all_text(world.database) for name in names) >= 6
    deletion_id = world.schedule_deletion(customer)
    hashes = chain(world, customer)
    world.run(sagas.purge_due, now=world.deletion(customer).purge_at)
    world.reply(billing.AccountSealed(organization_id=customer, deletion_id=deletion_id), NOON)
    world.reply(membership.MembersErased(organization_id=customer, deletion_id=deletion_id), NOON)

    late = add_entry(
        world, customer, actor={"kind": "staff", "id": "mem_1", "label": "Clara"}, reason="Olga"
    )
    world.consume(
        billing.AuditRecorded(
            organization_id=customer,
            provider_id=world.provider,
            entry_id=ids.new("evt"),
            at=AT,
            action="account.sealed",
            outcome="ok",
            actor={"kind": "staff", "id": "mem_1", "label": "Clara", "acting": {}},
            target={},
            changes=[{"field": "name", "before": "Olga", "after": None}],
            hash="0" * 64,
        )
    )
    world.call("POST", f"/organizations/{customer}/suspend", {"reason": "x"}, role="viewer")

    left = [line for line in all_text(world.database).splitlines() if customer in line]
    assert len(left) > 8
    assert not [line for line in left for name in names if name in line]
    assert audit_rows(world, customer, "action=member.disabled")[0]["id"] == late
    assert chain(world, customer)[: len(hashes)] == hashes
    with world.database.reading(snapshot=True) as session:
        assert list(audit.verify(session, customer)) == []
    assert "Olga" not in repr(world.published(org.AuditRecorded)[-2:])


def chain(world: World, customer: str) -> list[str]:
    with world.database.reading() as session:
        wanted = (
            select(AuditEntry.hash)
            .where(AuditEntry.organization_id == customer)
            .order_by(AuditEntry.number)
        )
        return list(session.scalars(wanted))


def tamper(world: World, postgres: Any, statement: str) -> None:
    """Change the database past its triggers, as only the superuser can."""
    if world.database.is_sqlite:
        for name in ("no_delete", "no_change", "only_erased"):
            attempt(world.database, f"DROP TRIGGER IF EXISTS audit_entries_{name}")
        attempt(world.database, statement)
        return
    engine = create_engine(postgres.url(world.database.engine.url.database))
    with Session(engine) as session, session.begin():
        session.execute(text("SET session_replication_role = replica"))
        session.execute(text(statement))
    engine.dispose()


def test_the_command_lists_every_damage_and_exits_with_1(
    world: World,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postgres = None if world.database.is_sqlite else request.getfixturevalue("postgres")
    monkeypatch.setenv("DATABASE_URL", world.database.url)
    monkeypatch.setattr(cli.log, "start", lambda **_: None)
    for name in ("BILLING_URL", "MEMBERSHIP_URL"):
        monkeypatch.setenv(name, "-")

    def run(*arguments: str) -> tuple[Any, list[str]]:
        monkeypatch.setattr("sys.argv", ["org", "audit", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main(SERVICE)
        return end.value.code, capsys.readouterr().out.splitlines()

    customers = [world.active() for _ in range(4)]
    changed, shortened, cut, whole = customers
    assert run() == (0, ["4 chains, 0 problems"])

    def where(customer: str) -> str:
        value = "'" + ids.to_uuid("org", customer).hex + "'"
        return f"organization_id = {value}"

    tamper(
        world,
        postgres,
        f"UPDATE audit_entries SET action = 'x' WHERE number = 1 AND {where(changed)}",
    )
    tamper(world, postgres, f"DELETE FROM audit_entries WHERE number = 2 AND {where(shortened)}")
    tamper(world, postgres, f"DELETE FROM audit_entries WHERE number = 1 AND {where(cut)}")

    code, lines = run()
    assert code == 1
    assert [line.split(" ")[0] for line in lines[:-1]] == [changed, shortened, cut, cut]
    assert "1 evt_" in lines[0] and "hash does not match its content" in lines[0]
    assert lines[1].endswith("head: is missing, or not of the last row, 1")
    assert "rows are missing" in lines[2] and "does not continue" in lines[3]
    assert lines[-1] == "4 chains, 4 problems"
    assert run(whole) == (0, ["1 chains, 0 problems"])
