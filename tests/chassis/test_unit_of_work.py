"""What a transaction collects: written at its end, in one order of locks, or not at all."""

import json
import math
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import marshmallow
import pytest
from chassis import audit
from chassis.audit import AuditEntry
from chassis.audit.models import BEGINNING
from chassis.auth.actor import Actor
from chassis.db.database import Database
from chassis.messaging import outbox
from chassis.messaging.outbox import OutboxRow, Stream
from chassis.runtime import ids
from contracts import billing, org
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tests.chassis.messages import NOON, Effect, opened, rows
from tests.house import golden

Act = Callable[[Session, str], object]


def record(session: Session, organization_id: str, **other: Any) -> None:
    audit.record(
        session,
        org.AuditRecorded,
        organization_id=organization_id,
        provider_id=organization_id,
        action="thing.done",
        by=Actor(kind="staff", id="mem_1", label="Anna"),
        now=NOON,
        **other,
    )


def publish(session: Session, organization_id: str) -> None:
    outbox.publish(session, opened(organization_id))


def published(database: Database) -> list[OutboxRow]:
    return sorted(rows(database, OutboxRow), key=lambda row: row.seq)


@pytest.mark.parametrize(
    ("first", "second"),
    [(publish, publish), (record, record), (publish, record), (record, publish)],
    ids=["publish", "record", "publish then record", "record then publish"],
)
def test_transactions_about_the_same_organizations_never_deadlock(
    postgres_database: Database, first: Act, second: Act
) -> None:
    organization_id, other = ids.new("org"), ids.new("org")
    halfway, problems = threading.Barrier(2), []

    def act(mine: str, next_: str) -> None:
        try:
            for _ in range(5):
                with postgres_database.transaction() as session:
                    first(session, mine)
                    halfway.wait(30)
                    second(session, next_)
        except Exception as problem:
            problems.append(problem)

    threads = [
        threading.Thread(target=act, args=pair)
        for pair in ((organization_id, other), (other, organization_id))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(published(postgres_database)) == 20
    with postgres_database.reading() as session:
        assert [list(audit.verify(session, each)) for each in audit.chains(session)] in (
            [],
            [[], []],
        )


def test_nothing_is_locked_or_written_before_the_end(database: Database) -> None:
    organization_id = ids.new("org")

    with database.transaction() as session:
        record(session, organization_id)
        publish(session, organization_id)
        assert [session.scalar(select(func.count()).select_from(kind)) for kind in TABLES] == [
            0
        ] * 4

    assert [len(rows(database, kind)) for kind in TABLES] == [1, 1, 2, 1]


TABLES = (AuditEntry, audit.AuditHead, OutboxRow, Stream)


def test_a_rolled_back_transaction_writes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as session:
        record(session, ids.new("org"))
        raise RuntimeError

    assert [rows(database, kind) for kind in TABLES] == [[], [], [], []]


def test_if_collected_rows_cannot_be_written_the_change_is_rolled_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_last_versions", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        session.add(Effect(word="done"))
        record(session, ids.new("org"))

    assert [rows(database, kind) for kind in (*TABLES, Effect)] == [[], [], [], [], []]


def test_messages_about_one_aggregate_keep_their_order(database: Database) -> None:
    organization_id, other = ids.new("org"), ids.new("org")
    with database.transaction() as session:
        publish(session, organization_id)

    with database.transaction() as session:
        returned = [
            outbox.publish(session, opened(organization_id)),
            outbox.publish(session, opened(other)),
        ]
        record(session, organization_id)
        returned.append(outbox.publish(session, opened(organization_id)))

    messages = published(database)[1:]
    assert [(row.aggregate, row.version) for row in messages] == [
        (organization_id, 2),
        (other, 1),
        (organization_id, 3),
        (organization_id, 4),
    ]
    assert [row.id for row in messages if row.type == billing.AccountOpened.TYPE] == returned
    bodies = [json.loads(row.body) for row in messages]
    assert [(body["id"], body["sequence"]) for body in bodies] == [
        (row.id, str(row.version)) for row in messages
    ]


def test_the_published_audit_row_carries_the_hash_that_was_written(database: Database) -> None:
    organization_id = ids.new("org")

    with database.transaction() as session:
        record(session, organization_id)
        record(session, organization_id)

    entries = sorted(rows(database, AuditEntry), key=lambda entry: entry.number)
    bodies = [json.loads(row.body)["data"] for row in published(database)]
    assert [(body["entry_id"], body["hash"]) for body in bodies] == [
        (entry.id, entry.hash) for entry in entries
    ]
    assert entries[1].previous_hash == entries[0].hash


def test_erasing_covers_names_of_the_same_transaction(database: Database) -> None:
    organization_id = ids.new("org")

    with database.transaction() as session:
        record(session, organization_id, reason="Anna asked")
        audit.erase(session, organization_id)
        record(session, organization_id)

    assert b"Anna" not in b"".join(row.body for row in published(database))
    assert [entry.salt for entry in rows(database, AuditEntry)] == [None, None]
    with database.reading() as session:
        assert list(audit.verify(session, organization_id)) == []


def test_a_message_that_cannot_be_sent_is_refused_where_it_is_published(
    database: Database,
) -> None:
    with database.transaction() as session:
        with pytest.raises(marshmallow.ValidationError):
            outbox.publish(session, billing.AccountOpened(organization_id=None))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="larger than"):
            record(session, ids.new("org"), reason="x" * outbox.MAX_SIZE)
        for value in (math.nan, math.inf, NOON, Decimal(1), uuid4()):
            with pytest.raises(ValueError, match=r"settings_changed\.v1 is not JSON"):
                outbox.publish(session, _settings({"a": [value]}))

    assert published(database) == []


def test_no_version_makes_a_message_too_large(database: Database) -> None:
    padding = outbox.MAX_SIZE - len(_sent(database, _settings({"a": ""}), version=2**63 - 1))

    assert len(_sent(database, _settings({"a": "x" * padding}), version=2**63 - 1)) == (
        outbox.MAX_SIZE
    )
    with pytest.raises(ValueError, match="larger than"):
        _sent(database, _settings({"a": "x" * (padding + 1)}), version=1)


def test_what_is_changed_after_publishing_is_not_sent(database: Database) -> None:
    settings: dict[str, Any] = {"a": [1]}
    with database.transaction() as session:
        pending = outbox.collect(session, _settings(settings))
        settings["a"].append(2)
        settings["b"] = 3
        pending.amend(version=7)

    (row,) = published(database)
    data = json.loads(row.body)["data"]
    assert (data["settings"], data["version"]) == ({"a": [1]}, 7)


@pytest.mark.parametrize(
    ("placeholder", "value"), [("1" * 64, "2" * 64), (BEGINNING, "2" * 63)], ids=["other", "short"]
)
def test_a_field_that_is_not_the_placeholder_is_not_filled(
    database: Database, placeholder: str, value: str
) -> None:
    with database.transaction() as session:
        pending = outbox.collect(session, golden.representative(org.AuditRecorded))
        pending.amend(hash=BEGINNING)
        before = pending.body

        with pytest.raises(ValueError, match="no placeholder"):
            pending.fill("hash", placeholder, value)

        assert pending.body == before


def _settings(values: dict[str, Any]) -> org.SettingsChanged:
    return org.SettingsChanged(provider_id="org_1", version=1, settings=values)


def _sent(database: Database, message: org.SettingsChanged, *, version: int) -> bytes:
    """The bytes of the message if it gets this version."""
    with database.transaction() as session:
        session.execute(delete(Stream))
        session.add(Stream(aggregate=message.aggregate, version=version - 1))
        session.execute(delete(OutboxRow))
        session.flush()
        outbox.publish(session, message)
    return bytes(published(database)[0].body)
