"""People who were erased are not named in the merged audit log, whatever they did or others did to
them, and from wherever the row comes."""

from typing import Any

import pytest
from chassis import audit
from chassis.runtime import ids
from contracts import billing, membership, org
from org.jobs import JOBS
from org.models import ClientAddress
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tests.org.conftest import NOON, World
from tests.org.history.entries import audit_rows, csv_rows

MIA, MEMBER, GONE = "idn_mia", "mem_mia", "Removed person"
NAMES = ("Mia", "mia@", "192.0.2.7")
BY_MIA = {"kind": "member", "id": MIA, "label": "Mia", "acting": {}}
BY_OLGA = {"kind": "member", "id": "idn_olga", "label": "Olga", "acting": {}}
AS_MIA = {
    "kind": "support",
    "id": MIA,
    "label": "Mia",
    "acting": {"sub": "idn_stella", "mode": "login_as", "name": "Stella Staff"},
}
ABOUT_MIA = {"type": "member", "id": MEMBER, "label": "Mia"}
CHANGES = [
    {"field": "email", "before": None, "after": "mia@acme.example"},
    {"field": "role", "before": "member", "after": "admin"},
]


def add_entry(world: World, customer: str, *, producer: Any = membership, **other: Any) -> str:
    """A service publishes a row of its audit, about something done from 192.0.2.7."""
    known = {
        "entry_id": ids.new("evt"),
        "at": NOON.isoformat(),
        "action": "member.updated",
        "outcome": "ok",
        "actor": BY_MIA,
        "target": {},
        "changes": [],
        "hash": "0" * 64,
        "client_address": "192.0.2.7",
        "client_organization_id": customer,
    }
    message = producer.AuditRecorded(
        organization_id=customer, provider_id=world.provider, **(known | other)
    )
    world.consume(message)
    return message.entry_id


def erase(world: World, *people: str) -> None:
    world.consume(
        membership.PeopleErased(erasure_id=ids.new("era"), people=list(people or (MIA, MEMBER)))
    )


def run_job(world: World, name: str = "erase_people") -> int:
    return next(job for job in JOBS if job.name == name).run(world.database, NOON, None)


def views(world: World, customer: str) -> str:
    """All that staff and the customer's own people can read."""
    own = {"org": customer}
    pages = [
        audit_rows(world, customer, path=path, **who)
        for path in ("audit", "timeline")
        for who in ({}, own)
    ]
    return repr([*pages, csv_rows(world, customer), csv_rows(world, customer, **own)])


def addressed(world: World) -> set[str]:
    with world.database.reading() as session:
        return set(session.scalars(select(ClientAddress.id)))


def test_an_erased_person_is_not_named_in_any_view(world: World) -> None:
    customer, other = world.active(), world.active()
    by_her = add_entry(world, customer, reason="Mia asked for it")
    of_her = add_entry(world, customer, actor=BY_OLGA, target=ABOUT_MIA, changes=CHANGES)
    as_her = add_entry(world, customer, actor=AS_MIA, producer=billing)
    add_entry(world, other)
    unlike = add_entry(world, customer, actor=BY_OLGA, client_address=None)
    world.call(
        "PATCH",
        f"/organizations/{customer}",
        {"name": "New"},
        headers={"If-Match": "*"},
        sub=MIA,
        name="Mia",
    )
    world.consume(world.published(org.AuditRecorded)[-1])
    assert all(name in views(world, customer) for name in NAMES)

    erase(world)

    rows = {row["id"]: row for row in audit_rows(world, customer)}
    assert rows[by_her]["actor"] == {**BY_MIA, "label": GONE}
    assert rows[of_her]["actor"] == BY_OLGA
    assert rows[of_her]["target"] == {**ABOUT_MIA, "label": GONE}
    assert rows[of_her]["changes"] == [
        {"field": "email", "before": None, "after": GONE},
        {"field": "role", "before": "member", "after": "admin"},
    ]
    assert rows[as_her]["actor"]["acting"] == AS_MIA["acting"]
    assert rows[unlike]["actor"] == BY_OLGA
    own = {row["id"]: row for row in audit_rows(world, customer, org=customer)}
    assert own[as_her]["actor"]["label"] == f"Support acting as {GONE}"
    # A reason is free text, and stays as it was written.
    assert rows[by_her]["reason"] == "Mia asked for it"
    left = views(world, customer).replace("Mia asked for it", "") + views(world, other)
    assert "Mia" not in left and "mia@" not in left
    # Of the addresses only those stay from which somebody else did something.
    assert addressed(world) == {of_her, as_her}
    with world.database.reading(snapshot=True) as session:
        assert list(audit.verify(session, customer)) == []


def test_an_erased_staff_member_is_not_named_behind_support(world: World) -> None:
    customer = world.active()
    entry = add_entry(world, customer, actor=AS_MIA, target=ABOUT_MIA)

    erase(world, "idn_stella", MIA, MEMBER)

    [row] = [row for row in audit_rows(world, customer) if row["id"] == entry]
    assert row["actor"] == {**AS_MIA, "label": GONE, "acting": {**AS_MIA["acting"], "name": GONE}}
    assert addressed(world) == set()
    own = [row for row in audit_rows(world, customer, org=customer) if row["id"] == entry]
    assert own[0]["target"]["label"] == GONE, "not Support, whose name is hidden"


def test_a_late_row_and_a_repeated_message_name_nobody(world: World) -> None:
    customer = world.active()
    erase(world)
    erase(world)

    late = add_entry(world, customer, target=ABOUT_MIA, changes=CHANGES)
    other = add_entry(world, customer, actor=BY_OLGA)

    left = views(world, customer)
    assert "Mia" not in left and "mia@" not in left
    assert addressed(world) == {other} and late in left


def test_a_name_that_was_taken_out_is_not_written_again(world: World) -> None:
    add_entry(world, world.active(), reason="why", changes=CHANGES)
    erase(world)

    for changed in (
        'actor = \'{"kind": "member", "id": "idn_mia", "label": "Mia"}\'',
        'actor = \'{"kind": "member", "id": "idn_eva", "label": "Removed person"}\'',
        "reason = 'because'",
        "changes = '[]'",
    ):
        statement = f"UPDATE trail SET {changed} WHERE actor_id = '{MIA}'"
        with pytest.raises(DBAPIError, match="append-only"):
            world.run(lambda session, sql=statement: session.execute(text(sql)))


def test_many_rows_are_done_in_batches_by_the_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit.people, "MAX_BATCH", 2)
    customer = world.active()
    for _ in range(5):
        add_entry(world, customer)

    erase(world)

    assert views(world, customer).count(GONE) == 2 * 6
    assert [run_job(world) for _ in range(3)] == [2, 1, 0]
    assert "Mia" not in views(world, customer)
    assert addressed(world) == set()


@pytest.mark.both_databases
def test_the_rows_of_a_person_are_found_by_indexes(world: World) -> None:
    customer = world.active()
    add_entry(world, customer, actor=AS_MIA, target=ABOUT_MIA)
    explain = "EXPLAIN QUERY PLAN" if world.database.is_sqlite else "EXPLAIN"
    with world.database.transaction() as session:
        if not world.database.is_sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))
        for table in ("trail", "audit_entries"):
            for naming in audit.NAMINGS:
                query = f"SELECT id FROM {table} WHERE {naming.id} IN ('x') AND {naming.still}"
                plan = repr(session.execute(text(f"{explain} {query}")).all())
                assert f"ix_{table}_named_{naming.part}" in plan, plan
