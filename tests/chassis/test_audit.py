"""The audit log: one chain per organization, in which any damage is detected and from which names
can be erased."""

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

GONE = audit.REMOVED_PERSON
BY = Actor(kind="staff", id="mem_1", label="Åsa")
HER_NAME = json.dumps(BY.label)[1:-1].encode()
OLD_HASH = "4678aec847a06daf2674a3e99c644fb47dc32e3aa24c8dc0bfe815f25fa13004"
IMPERSONATOR = Actor(
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
    database: Database,
    organization_id: str,
    action: str = "thing.done",
    by: Actor = BY,
    **other: Any,
) -> None:
    values: dict[str, Any] = {
        "target": {"type": "thing", "id": "thg_1", "label": "Übung 🎉"},
        "reason": "why",
        "changes": [{"field": "f", "before": "Anna", "after": 1.5}],
        "now": NOON,
    }
    with database.transaction() as session:
        audit.record(
            session,
            org.AuditRecorded,
            organization_id=organization_id,
            provider_id=organization_id,
            action=action,
            by=by,
            **(values | other),
        )


def chain(database: Database, organization_id: str) -> list[AuditEntry]:
    return sorted(
        (e for e in rows(database, AuditEntry) if e.organization_id == organization_id),
        key=lambda e: e.number,
    )


def problems(database: Database, organization_id: str) -> list[str]:
    with database.reading(snapshot=True) as session:
        return list(audit.verify(session, organization_id))


def chains(database: Database) -> list[str]:
    with database.reading(snapshot=True) as session:
        return audit.chains(session)


def change(database: Database, entry: AuditEntry, **values: Any) -> None:
    with database.transaction() as session:
        session.execute(update(AuditEntry).where(AuditEntry.id == entry.id).values(values))


def erase(database: Database, organization_id: str) -> None:
    with database.transaction() as session:
        audit.erase(session, organization_id)


@pytest.fixture
def organization_id(database: Database) -> str:
    """An organization with a chain of three."""
    created = ids.new("org")
    for by in (BY, IMPERSONATOR, SYSTEM):
        record(database, created, by=by)
    return created


def test_each_organization_has_a_valid_chain(database: Database, organization_id: str) -> None:
    other = ids.new("org")
    record(database, other)

    assert chains(database) == [organization_id, other]
    assert [entry.number for entry in chain(database, organization_id)] == [1, 2, 3]
    assert (problems(database, organization_id), problems(database, other)) == ([], [])


def test_parallel_writers_start_and_continue_one_chain_without_gaps(database: Database) -> None:
    organization_id, together, troubles = ids.new("org"), threading.Barrier(6), []

    def write() -> None:
        together.wait()
        try:
            for _ in range(3):
                record(database, organization_id)
        except Exception as problem:
            troubles.append(problem)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert troubles == []
    assert len(chain(database, organization_id)) == 18
    assert problems(database, organization_id) == []


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
    database: Database, organization_id: str, values: dict[str, Any], named: str
) -> None:
    second = chain(database, organization_id)[1 if "at" not in values else 0]
    if "actor" in values:
        second = chain(database, organization_id)[0]
    change(database, second, **values)

    reported = problems(database, organization_id)

    assert any(
        named in line and line.startswith(f"{second.number} {second.id}") for line in reported
    ), reported


def test_a_row_rewritten_together_with_its_hash_breaks_the_chain(
    database: Database, organization_id: str
) -> None:
    second = chain(database, organization_id)[1]
    second.action = "thing.undone"
    change(database, second, action="thing.undone", hash=audit.digest(second))

    assert [line.partition(": ")[2] for line in problems(database, organization_id)] == [
        "does not continue the row before it"
    ]


def test_missing_rows_are_detected(database: Database, organization_id: str) -> None:
    other = ids.new("org")
    for _ in range(3):
        record(database, other)
    with database.transaction() as session:
        session.execute(
            delete(AuditEntry).where(
                AuditEntry.organization_id == organization_id, AuditEntry.number == 2
            )
        )
        session.execute(
            delete(AuditEntry).where(AuditEntry.organization_id == other, AuditEntry.number == 3)
        )

    third = chain(database, organization_id)[1]
    assert (
        problems(database, organization_id)[0]
        == f"3 {third.id}: follows 1, so that rows are missing or too many"
    )
    assert problems(database, other) == ["head: is missing, or not of the last row, 2"]

    with database.transaction() as session:
        session.execute(delete(AuditHead).where(AuditHead.organization_id == organization_id))
    assert problems(database, organization_id)[-1] == "head: is missing, or not of the last row, 3"
    assert organization_id in chains(database)

    change(database, chain(database, other)[0], number=0)
    assert "follows 0, so that rows are missing" in "\n".join(problems(database, other))


# ---- erasing


def test_names_are_erased_and_the_chain_stays_valid(
    database: Database, organization_id: str
) -> None:
    before = [(entry.hash, entry.digests) for entry in chain(database, organization_id)]

    erase(database, organization_id)

    reported = chain(database, organization_id)
    assert problems(database, organization_id) == []
    assert [(entry.hash, entry.digests) for entry in reported] == before
    assert [entry.salt for entry in reported] == [None] * 3
    assert reported[0].actor == {"kind": "staff", "id": "mem_1", "label": "Erased", "acting": {}}
    assert reported[1].actor["acting"] == {
        "sub": "idn_3",
        "org": "org_1",
        "sid": "ses_1",
        "mode": "login_as",
        "access": "full",
    }
    assert reported[2].actor["label"] == "System"
    assert (reported[0].target, reported[0].changes, reported[0].reason) == (
        {"type": "thing", "id": "thg_1", "label": "Erased"},
        [{"field": "f"}],
        None,
    )


def test_nothing_recorded_or_published_after_the_erasure_contains_names(
    database: Database, organization_id: str
) -> None:
    erase(database, organization_id)
    record(database, organization_id, reason="Anna asked")

    assert problems(database, organization_id) == []
    assert HER_NAME in b"".join(row.body for row in rows(database, OutboxRow) if row.version == 1)
    assert "Erased" in json.dumps(chain(database, organization_id)[3].actor)
    assert chain(database, organization_id)[3].salt is None
    published = b"".join(row.body for row in rows(database, OutboxRow) if row.version == 4)
    assert b"Erased" in published
    assert not any(word in published for word in (HER_NAME, b"Anna", b"bung"))


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
def test_damage_to_an_erased_row_is_detected(
    database: Database, organization_id: str, values: dict[str, Any], named: str
) -> None:
    erase(database, organization_id)
    first = chain(database, organization_id)[0]
    change(database, first, **values)

    assert any(named in line for line in problems(database, organization_id))


def test_equal_names_have_different_digests(database: Database, organization_id: str) -> None:
    record(database, organization_id)
    first, *_, last = chain(database, organization_id)

    assert (first.actor, first.reason) == (last.actor, last.reason)
    assert not set((first.digests or {}).values()) & set((last.digests or {}).values())


# ---- erasing one person


def erase_people(database: Database, *people: str) -> None:
    with database.transaction() as session:
        audit.erase_people(session, people, now=NOON)


def test_an_erased_person_is_not_named_and_the_chain_stays_valid(
    database: Database, organization_id: str
) -> None:
    record(database, organization_id, target={"type": "person", "id": "mem_1", "label": "Anna"})
    before = [(entry.hash, entry.digests) for entry in chain(database, organization_id)]

    erase_people(database, "mem_1", "idn_3")
    erase_people(database, "mem_1")

    reported = chain(database, organization_id)
    assert problems(database, organization_id) == []
    assert [(entry.hash, entry.digests) for entry in reported] == before
    by_her, acting, system, of_her = reported
    assert by_her.actor == {"kind": "staff", "id": "mem_1", "label": GONE, "acting": {}}
    assert (by_her.target["label"], by_her.reason, by_her.salt) == ("Übung 🎉", "why", None)
    assert (acting.actor["label"], acting.actor["acting"]["name"]) == ("Jane Doe", GONE)
    assert (system.actor["label"], system.salt is None) == ("System", False)
    assert (of_her.target["label"], of_her.changes) == (
        GONE,
        [{"field": "f", "before": GONE, "after": GONE}],
    )
    erase(database, organization_id)
    assert problems(database, organization_id) == []


def test_what_the_erasing_transaction_records_names_nobody(database: Database) -> None:
    organization_id = ids.new("org")
    with database.transaction() as session:
        audit.record(
            session,
            org.AuditRecorded,
            organization_id=organization_id,
            provider_id=organization_id,
            action="person.left",
            by=BY,
            now=NOON,
        )
        audit.erase_people(session, {"mem_1"}, now=NOON)

    [entry] = chain(database, organization_id)
    assert (entry.actor["label"], entry.salt) == (GONE, None)
    assert problems(database, organization_id) == []
    [published] = rows(database, OutboxRow)
    assert GONE.encode() in published.body and HER_NAME not in published.body


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"actor": {"kind": "staff", "id": "mem_9", "label": "Removed person"}}, "hash"),
        ({"actor": {"kind": "staff", "id": "mem_1", "label": "Eva", "acting": {}}}, "actor"),
        ({"changes": [{"field": "g"}]}, "hash"),
        ({"salt": "0" * 32}, "actor"),
        ({"action": "x"}, "hash"),
    ],
    ids=str,
)
def test_damage_to_the_row_of_an_erased_person_is_detected(
    database: Database, organization_id: str, values: dict[str, Any], named: str
) -> None:
    erase_people(database, "mem_1")
    change(database, chain(database, organization_id)[0], **values)

    assert any(named in line for line in problems(database, organization_id))


# ---- rows from before there were digests


@pytest.fixture
def old(database: Database) -> str:
    """A chain that was started before there were digests."""
    organization_id = ids.new("org")
    with database.transaction() as session:
        head = AuditHead(organization_id=organization_id, number=0, hash=audit.BEGINNING)
        session.add(head)
        for _ in range(2):
            entry = AuditEntry(
                id=ids.new("evt"),
                organization_id=organization_id,
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
    record(database, organization_id)
    return organization_id


def test_a_chain_without_digests_is_valid_continues_and_can_be_erased(
    database: Database, old: str
) -> None:
    assert problems(database, old) == []

    change(database, chain(database, old)[0], reason="because")
    assert "its hash does not match its content" in problems(database, old)[0]

    erase_people(database, "mem_1")
    assert [row.actor["label"] for row in chain(database, old)] == [GONE] * 3
    assert problems(database, old) == []

    erase(database, old)
    assert problems(database, old) == []
    assert "Åsa" not in repr([vars(entry) for entry in chain(database, old)])

    change(database, chain(database, old)[1], hash="1" * 64)
    assert "does not continue the row before it" in problems(database, old)[0]


def test_the_hash_of_rows_without_digests_has_not_changed(database: Database) -> None:
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


def test_at_most_one_denial_a_minute_is_recorded(database: Database, organization_id: str) -> None:
    record(database, organization_id, "thing.do", outcome="denied", now=NOON)

    def denied_recently(action: str = "thing.do", by: Actor = BY, seconds: int = 59) -> bool:
        with database.reading() as session:
            return audit.denied_recently(
                session, organization_id, action, by=by, now=NOON + timedelta(seconds=seconds)
            )

    assert denied_recently()
    assert not denied_recently(seconds=60)
    assert not denied_recently("thing.done")
    assert not denied_recently(by=Actor(kind="staff", id="mem_2"))
    assert not denied_recently(by=Actor(kind="support", id="mem_1"))
