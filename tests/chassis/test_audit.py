"""The audit: one chain per organization, in which every damage is found, and from which names can
be erased."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from chassis import audit
from chassis.audit import AuditEntry, AuditHead
from chassis.auth.actor import SYSTEM, Actor
from chassis.db.database import Database
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import ids
from contracts import org
from sqlalchemy import delete, update

from tests.chassis.messages import NOON, rows

pytestmark = pytest.mark.both_databases

BY = Actor(kind="staff", id="mem_1", label="Åsa")
OLD_HASH = "4678aec847a06daf2674a3e99c644fb47dc32e3aa24c8dc0bfe815f25fa13004"
INSIDE = Actor(
    kind="support",
    id="mem_2",
    label="Jane Doe",
    acting={
        "sub": "idn_3",
        "org": "org_1",
        "sid": "ses_1",
        "mode": "login_as",
        "access": "full",
        "name": "Stella Staff",
    },
)


def record(
    database: Database, one: str, action: str = "thing.done", by: Actor = BY, **other: Any
) -> None:
    known: dict[str, Any] = {
        "target": {"type": "thing", "id": "thg_1", "label": "Übung 🎉"},
        "reason": "why",
        "changes": [{"field": "f", "before": "Anna", "after": 1.5}],
        "now": NOON,
    }
    with database.transaction() as session:
        audit.record(
            session,
            org.AuditRecorded,
            organization_id=one,
            provider_id=one,
            action=action,
            by=by,
            **(known | other),
        )


def chain(database: Database, one: str) -> list[AuditEntry]:
    return sorted(
        (e for e in rows(database, AuditEntry) if e.organization_id == one), key=lambda e: e.number
    )


def problems(database: Database, one: str) -> list[str]:
    with database.reading(snapshot=True) as session:
        return list(audit.verify(session, one))


def chains(database: Database) -> list[str]:
    with database.reading(snapshot=True) as session:
        return audit.chains(session)


def change(database: Database, entry: AuditEntry, **values: Any) -> None:
    with database.transaction() as session:
        session.execute(update(AuditEntry).where(AuditEntry.id == entry.id).values(values))


def erase(database: Database, one: str) -> None:
    with database.transaction() as session:
        audit.erase(session, one)


@pytest.fixture
def one(database: Database) -> str:
    """An organization with a chain of three."""
    made = ids.new("org")
    for by in (BY, INSIDE, SYSTEM):
        record(database, made, by=by)
    return made


def test_each_organization_has_a_chain_and_it_holds(database: Database, one: str) -> None:
    other = ids.new("org")
    record(database, other)

    assert chains(database) == [one, other]
    assert [entry.number for entry in chain(database, one)] == [1, 2, 3]
    assert (problems(database, one), problems(database, other)) == ([], [])


def test_parallel_writers_begin_and_continue_one_chain_without_gaps(database: Database) -> None:
    one, together, troubles = ids.new("org"), threading.Barrier(6), []

    def write() -> None:
        together.wait()
        try:
            for _ in range(3):
                record(database, one)
        except Exception as problem:
            troubles.append(problem)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert troubles == []
    assert len(chain(database, one)) == 18
    assert problems(database, one) == []


# ---- damage


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"action": "thing.undone"}, "hash"),
        ({"outcome": "denied"}, "hash"),
        ({"request_id": "x"}, "hash"),
        ({"at": NOON + timedelta(microseconds=1)}, "hash"),
        ({"hash": "1" * 64}, "hash"),
        ({"digests": {}}, "hash"),
        ({"digests": None}, "hash"),
        ({"actor": {"kind": "staff", "id": "mem_2", "label": "Åsa"}}, "hash"),
        ({"actor": {"kind": "staff", "id": "mem_1", "label": "Eva", "acting": {}}}, "actor"),
        ({"target": {"type": "thing", "id": "thg_1", "label": "x"}}, "target"),
        ({"changes": [{"field": "f", "before": "Anna", "after": 2}]}, "changes"),
        ({"reason": None}, "reason"),
        ({"salt": "0" * 32}, "actor"),
        ({"salt": None}, "actor"),
        ({"erased": True}, "the chain is not"),
        ({"previous_hash": "1" * 64}, "continue"),
    ],
    ids=str,
)
def test_a_changed_row_is_named(
    database: Database, one: str, values: dict[str, Any], named: str
) -> None:
    second = chain(database, one)[1 if "at" not in values else 0]
    if "actor" in values:
        second = chain(database, one)[0]
    change(database, second, **values)

    found = problems(database, one)

    assert any(
        named in line and line.startswith(f"{second.number} {second.id}") for line in found
    ), found


def test_a_row_rewritten_together_with_its_hash_is_not_what_the_next_one_continues(
    database: Database, one: str
) -> None:
    second = chain(database, one)[1]
    second.action = "thing.undone"
    change(database, second, action="thing.undone", hash=audit.digest(second))

    assert [line.partition(": ")[2] for line in problems(database, one)] == [
        "does not continue the row before it"
    ]


def test_missing_and_foreign_rows_are_noticed(database: Database, one: str) -> None:
    other = ids.new("org")
    for _ in range(3):
        record(database, other)
    with database.transaction() as session:
        session.execute(
            delete(AuditEntry).where(AuditEntry.organization_id == one, AuditEntry.number == 2)
        )
        session.execute(
            delete(AuditEntry).where(AuditEntry.organization_id == other, AuditEntry.number == 3)
        )

    third = chain(database, one)[1]
    assert (
        problems(database, one)[0]
        == f"3 {third.id}: follows 1, so that rows are missing or too many"
    )
    assert problems(database, other) == ["head: is missing, or not of the last row, 2"]

    with database.transaction() as session:
        session.execute(delete(AuditHead).where(AuditHead.organization_id == one))
    assert problems(database, one)[-1] == "head: is missing, or not of the last row, 3"
    assert one in chains(database)

    change(database, chain(database, other)[0], number=0)
    assert "follows 0, so that rows are missing" in "\n".join(problems(database, other))


# ---- erasing


def test_names_are_erased_and_the_chain_still_holds(database: Database, one: str) -> None:
    before = [(entry.hash, entry.digests) for entry in chain(database, one)]

    erase(database, one)

    found = chain(database, one)
    assert problems(database, one) == []
    assert [(entry.hash, entry.digests) for entry in found] == before
    assert [entry.salt for entry in found] == [None] * 3
    assert found[0].actor == {"kind": "staff", "id": "mem_1", "label": "Erased", "acting": {}}
    assert found[1].actor["acting"] == {
        "sub": "idn_3",
        "org": "org_1",
        "sid": "ses_1",
        "mode": "login_as",
        "access": "full",
    }
    assert found[2].actor["label"] == "System"
    assert (found[0].target, found[0].changes, found[0].reason) == (
        {"type": "thing", "id": "thg_1", "label": "Erased"},
        [{"field": "f"}],
        None,
    )


def test_whatever_is_recorded_and_said_after_the_erasure_names_nobody_either(
    database: Database, one: str
) -> None:
    erase(database, one)
    record(database, one, reason="Anna asked")

    assert problems(database, one) == []
    assert "Erased" in json.dumps(chain(database, one)[3].actor)
    assert chain(database, one)[3].salt is None
    said = b"".join(row.body for row in rows(database, OutboxRow) if row.version == 4)
    assert b"Erased" in said
    assert not any(word in said for word in (b'sa"', b"Anna", b"bung"))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"actor": {"kind": "staff", "id": "mem_9", "label": "Erased", "acting": {}}}, "hash"),
        (
            {"actor": {"kind": "staff", "id": "mem_1", "label": "Eva", "acting": {}}},
            "not all of it",
        ),
        ({"reason": "Eva"}, "not all of it"),
        ({"salt": "0" * 32}, "not all of it"),
        ({"action": "x"}, "hash"),
        ({"erased": False}, "names somebody"),
    ],
    ids=str,
)
def test_damage_to_what_is_left_is_named(
    database: Database, one: str, values: dict[str, Any], named: str
) -> None:
    erase(database, one)
    first = chain(database, one)[0]
    change(database, first, **values)

    assert any(named in line for line in problems(database, one))


def test_equal_names_have_different_digests(database: Database, one: str) -> None:
    record(database, one)
    first, *_, last = chain(database, one)

    assert (first.actor, first.reason) == (last.actor, last.reason)
    assert not set((first.digests or {}).values()) & set((last.digests or {}).values())


# ---- rows from before there were digests


@pytest.fixture
def old(database: Database) -> str:
    """A chain that was begun before there were digests."""
    one = ids.new("org")
    with database.transaction() as session:
        head = AuditHead(organization_id=one, number=0, hash=audit.BEGINNING)
        session.add(head)
        for _ in range(2):
            entry = AuditEntry(
                id=ids.new("evt"),
                organization_id=one,
                number=head.number + 1,
                at=NOON,
                action="a.b",
                outcome="ok",
                actor={"kind": "staff", "id": "mem_1", "label": "Åsa"},
                target={},
                changes=[],
                reason="why",
                previous_hash=head.hash,
            )
            entry.hash = audit.digest(entry)
            head.number, head.hash = entry.number, entry.hash
            session.add(entry)
    record(database, one)
    return one


def test_a_chain_from_before_holds_goes_on_and_is_erased(database: Database, old: str) -> None:
    assert problems(database, old) == []

    change(database, chain(database, old)[0], reason="because")
    assert "its hash does not match its content" in problems(database, old)[0]

    erase(database, old)
    assert problems(database, old) == []
    assert "Åsa" not in repr([vars(entry) for entry in chain(database, old)])

    change(database, chain(database, old)[1], hash="1" * 64)
    assert "does not continue the row before it" in problems(database, old)[0]


def test_the_hash_of_old_rows_is_what_it_always_was(database: Database) -> None:
    entry = AuditEntry(
        id="evt_1",
        organization_id="org_1",
        number=1,
        at=NOON,
        action="a.b",
        outcome="ok",
        target={},
        changes=[],
        actor={"kind": "staff", "id": "mem_1", "label": "Åsa"},
        reason="why",
        request_id=None,
        previous_hash="0" * 64,
    )

    assert audit.digest(entry) == OLD_HASH


# ---- denials


def test_one_denial_a_minute_is_enough(database: Database, one: str) -> None:
    record(database, one, "thing.do", outcome="denied", now=NOON)

    def lately(action: str = "thing.do", by: Actor = BY, seconds: int = 59) -> bool:
        with database.reading() as session:
            return audit.denied_recently(
                session, one, action, by=by, now=NOON + timedelta(seconds=seconds)
            )

    assert lately()
    assert not lately(seconds=60)
    assert not lately("thing.done")
    assert not lately(by=Actor(kind="staff", id="mem_2"))
    assert not lately(by=Actor(kind="support", id="mem_1"))
