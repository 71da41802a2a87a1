"""Several messages in one transaction, or else one by one."""

import json
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.messaging import inbox_batches, outbox
from chassis.messaging.envelope import Delivery
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import (
    DeadLetter,
    InboxRow,
    Redelivery,
    StreamPosition,
    WaitingMessage,
)
from chassis.messaging.listeners import Group, GroupListener
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import ids
from contracts import billing
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.chassis.failing import FailingListener, inbox_with, later, retry_until_done
from tests.chassis.messages import effects, event_of, note, opened, raw, receive, rows
from tests.databases import counted

pytestmark = pytest.mark.both_databases


def deliveries(*bodies: bytes, redelivered: bool = False) -> list[Delivery]:
    return [Delivery(body, "billing", redelivered) for body in bodies]


def test_messages_are_applied_in_their_order_and_once(database: Database) -> None:
    inbox, one, two = inbox_with(database), ids.new("org"), ids.new("org")
    batch = deliveries(raw(one, 1), raw(two, 1), raw(one, 2), raw(two, 5))

    assert inbox.receive_together(batch)
    assert inbox.receive_together(batch)
    assert inbox.receive_together([*batch, *deliveries(raw(two, 6))])

    assert effects(database) == [f"{one} 1", f"{two} 1", f"{one} 2", f"{two} 5", f"{two} 6"]
    assert len(rows(database, InboxRow)) == 5
    positions = {(row.aggregate, row.version) for row in rows(database, StreamPosition)}
    assert positions == {(one, 2), (two, 6)}


def test_the_number_of_statements_does_not_grow_with_the_batch(database: Database) -> None:
    inbox = inbox_with(database, lambda session, envelope: None)
    counts = []
    for size in (5, 50):
        batch = deliveries(*(raw(ids.new("org")) for _ in range(size)))
        with counted(database) as seen:
            assert inbox.receive_together(batch)
        counts.append(len(seen))

    assert counts[0] == counts[1] < 12


def test_what_is_published_has_the_cause_of_its_own_message(database: Database) -> None:
    def publish(session: Any, envelope: Any, *, organization_id: str) -> None:
        outbox.publish(session, opened(organization_id))

    inbox = inbox_with(database, publish)
    bodies = [raw(ids.new("org"), correlationid=f"request {n}") for n in range(3)]

    assert inbox.receive_together(deliveries(*bodies))

    caused = sorted(rows(database, OutboxRow), key=lambda row: row.seq)
    for n, row in enumerate(caused):
        assert f'"correlationid": "request {n}"'.encode() in row.body
    causes = [body.split(b'"causationid": "')[1][:30] for body in (row.body for row in caused)]
    assert [cause in body for cause, body in zip(causes, bodies, strict=True)] == [True] * 3


def test_messages_of_one_kind_are_applied_as_a_group_in_their_order(database: Database) -> None:
    groups: list[list[str]] = []

    def apply_all(session: Any, group: Group[billing.AccountOpened]) -> None:
        groups.append([f"{m.organization_id} {e.version}" for e, m in group])

    def alone(session: Any, envelope: Any, *, organization_id: str) -> None:
        groups.append([f"{organization_id} {envelope.version} closed"])

    inbox = Inbox(
        database,
        {billing.AccountOpened: GroupListener(apply_all), billing.AccountSealed: alone},
    )
    one, two = ids.new("org"), ids.new("org")
    sealed = raw(
        one,
        2,
        type=billing.AccountSealed.TYPE,
        data={"organization_id": one, "deletion_id": ids.new("del")},
    )

    assert inbox.receive_together(
        deliveries(raw(one, 1), raw(two, 1), sealed, raw(two, 2), raw(one, 3))
    )
    receive(inbox, raw(one, 4))

    assert groups == [
        [f"{one} 1", f"{two} 1"],
        [f"{one} 2 closed"],
        [f"{two} 2", f"{one} 3"],
        [f"{one} 4"],
    ]


@pytest.mark.parametrize(
    "irregular",
    [
        pytest.param(lambda one: b"nonsense", id="undecodable"),
        pytest.param(lambda one: raw(one, 1), id="stale"),
        pytest.param(lambda one: raw(one, 9, source="/membership"), id="forged"),
        pytest.param(lambda one: raw(one, 9, data={}), id="invalid"),
    ],
)
def test_one_irregular_message_leaves_the_batch_to_be_received_one_by_one(
    database: Database, irregular: Any
) -> None:
    inbox, one = inbox_with(database), ids.new("org")
    batch = deliveries(raw(one, 4), irregular(one), raw(one, 10))

    assert not inbox.receive_together(batch)
    assert effects(database) == []
    assert rows(database, InboxRow) == []
    assert rows(database, DeadLetter) == []

    for delivery in batch:
        receive(inbox, delivery.raw)
    assert effects(database) == [f"{one} 4", f"{one} 10"]
    assert len(rows(database, DeadLetter)) == 1


def test_redelivered_messages_are_noted_and_applied_alone_if_it_happens_again(
    database: Database,
) -> None:
    one, two = ids.new("org"), ids.new("org")
    inbox, batch = inbox_with(database), deliveries(raw(one), raw(two), redelivered=True)
    fails = inbox_with(database, FailingListener(one, two))

    assert not fails.receive_together(batch)
    assert not inbox.receive_together([*batch, *deliveries(raw(ids.new("org")), redelivered=True)])
    assert len(rows(database, Redelivery)) == 2
    assert effects(database) == []
    for delivery in batch:
        receive(inbox, delivery.raw, redelivered=True)

    assert effects(database) == [f"{one} 1", f"{two} 1"]
    assert [row.times for row in rows(database, Redelivery)] == [2, 2]
    assert inbox.receive_together(deliveries(raw(one, 2), raw(two, 2), redelivered=True))
    assert effects(database) == [f"{one} 1", f"{two} 1", f"{one} 2", f"{two} 2"]


def test_the_same_id_with_another_body_is_irregular(database: Database) -> None:
    inbox, one = inbox_with(database), ids.new("org")
    event = event_of(one)
    receive(inbox, json.dumps(event).encode())
    other = json.dumps(event | {"time": "2026-03-02T12:00:00Z"}).encode()

    assert not inbox.receive_together(deliveries(other, raw(ids.new("org"))))


def test_a_message_twice_in_a_batch_is_applied_once(database: Database) -> None:
    inbox, body = inbox_with(database), raw(one := ids.new("org"))
    batch = deliveries(body, body)

    assert not inbox.receive_together(batch)

    for delivery in batch:
        receive(inbox, delivery.raw)
    assert effects(database) == [f"{one} 1"]


def test_a_failing_message_leaves_no_effect_of_the_batch(database: Database) -> None:
    bad, good = ids.new("org"), ids.new("org")
    listener = FailingListener(bad)
    inbox = inbox_with(database, listener)
    batch = deliveries(raw(good, 1), raw(bad, 1), raw(good, 2), raw(bad, 2))

    assert not inbox.receive_together(batch)
    assert effects(database) == []

    for delivery in batch:
        receive(inbox, delivery.raw)
    assert effects(database) == [f"{good} 1", f"{good} 2"]


def test_messages_behind_a_waiting_one_wait_and_the_others_are_applied(database: Database) -> None:
    bad, good = ids.new("org"), ids.new("org")
    listener = FailingListener(bad)
    inbox = inbox_with(database, listener)
    receive(inbox, raw(bad, 1))
    calls = listener.calls

    assert inbox.receive_together(deliveries(raw(bad, 2), raw(good, 1), raw(bad, 3)))

    assert effects(database) == [f"{good} 1"]
    assert listener.calls == calls + 1
    assert sorted(row.version for row in rows(database, WaitingMessage)) == [1, 2, 3]
    listener.failing_for = set()
    retry_until_done(inbox, later())
    assert effects(database) == [f"{good} 1", f"{bad} 1", f"{bad} 2", f"{bad} 3"]


def test_a_batch_that_takes_too_long_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_batches, "MAX_SECONDS_TOGETHER", -1.0)

    assert not inbox_with(database).receive_together(deliveries(raw(ids.new("org"))))
    assert effects(database) == []


def test_an_unavailable_database_applies_none_and_is_an_error(database: Database) -> None:
    def fails(session: Any, envelope: Any, *, organization_id: str) -> None:
        note(session, envelope, organization_id=organization_id)
        raise OperationalError("UPDATE", {}, Exception("server closed the connection"))

    inbox = Inbox(database, {billing.AccountOpened: fails})

    with pytest.raises(OperationalError):
        inbox.receive_together(deliveries(raw(ids.new("org")), raw(ids.new("org"))))
    assert effects(database) == []


def test_a_locked_row_costs_the_batch_little_and_only_its_organization_waits(
    postgres_database: Database,
) -> None:
    locked, free = ids.new("org"), ids.new("org")
    receive(inbox_with(postgres_database), raw(locked, 1))

    def lock_own(session: Any, envelope: Any, *, organization_id: str) -> None:
        session.execute(
            text("UPDATE effects SET word = word WHERE word = :word"),
            {"word": f"{organization_id} 1"},
        )
        note(session, envelope, organization_id=organization_id)

    inbox = inbox_with(postgres_database, lock_own)
    batch = deliveries(raw(locked, 2), raw(free, 1))
    with postgres_database.engine.begin() as holder:
        holder.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        holder.execute(text("SELECT * FROM effects FOR UPDATE"))
        assert not inbox.receive_together(batch)
        for delivery in batch:
            receive(inbox, delivery.raw)
        assert effects(postgres_database) == [f"{locked} 1", f"{free} 1"]

    retry_until_done(inbox, later())
    assert effects(postgres_database) == [f"{locked} 1", f"{free} 1", f"{locked} 2"]
