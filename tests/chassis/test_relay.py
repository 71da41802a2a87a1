"""From the outbox to the bus: in order, under a lease, marked as sent only by its holder."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from chassis.db import leases
from chassis.db.database import Database
from chassis.messaging import publisher, relay
from chassis.messaging.outbox import PARTITIONS, OutboxRow
from chassis.messaging.relay import BATCH, OutgoingMessage, PublishResult, Relay
from chassis.runtime import clock, ids
from contracts import billing
from sqlalchemy import event, insert
from structlog.testing import capture_logs

from tests.chassis.messages import NOON, publish_opened, rows
from tests.waiting import until

pytestmark = pytest.mark.both_databases


class FakeBus:
    """A bus that records what it sends. ``unroutable``: ids that it returns; ``refusing``: ids
    that it delivers, but that another queue refuses; ``is_down``: it raises; ``during_publish``
    runs before it sends."""

    def __init__(self) -> None:
        self.sent: list[OutgoingMessage] = []
        self.unroutable: set[str] = set()
        self.refusing: set[str] = set()
        self.is_down = False
        self.during_publish: Callable[[], object] = lambda: None

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        self.during_publish()
        if self.is_down:
            raise ConnectionError("the broker is unavailable")
        self.sent += [message for message in messages if message.id not in self.unroutable]
        returned = {
            message.id: "312 NO_ROUTE" for message in messages if message.id in self.unroutable
        }
        returned |= {
            message.id: publisher.REFUSED for message in messages if message.id in self.refusing
        }
        return PublishResult(
            frozenset(message.id for message in messages) - returned.keys(), returned
        )

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.sent]


def unsent(database: Database) -> list[str]:
    return [
        row.id
        for row in sorted(rows(database, OutboxRow), key=lambda r: r.seq)
        if row.published_at is None
    ]


def test_messages_are_sent_once_in_the_order_of_publishing(
    database: Database,
) -> None:
    organization_id, other = ids.new("org"), ids.new("org")
    message_ids = publish_opened(database, organization_id, organization_id, other, organization_id)
    bus = FakeBus()
    sender = Relay(database, bus)

    counts = [sender.step(NOON), sender.step(NOON)]

    assert counts == [4, 0]
    assert bus.ids == message_ids
    assert unsent(database) == []


def test_a_rolled_back_transaction_publishes_nothing(database: Database) -> None:
    from chassis.messaging import outbox

    from tests.chassis.messages import opened

    with pytest.raises(RuntimeError), database.transaction() as session:
        outbox.publish(session, opened(ids.new("org")))
        raise RuntimeError

    assert rows(database, OutboxRow) == []


def test_versions_count_per_aggregate(database: Database) -> None:
    organization_id, other = ids.new("org"), ids.new("org")

    publish_opened(database, organization_id, other, organization_id)

    versions = {(row.aggregate, row.version) for row in rows(database, OutboxRow)}
    assert versions == {(organization_id, 1), (organization_id, 2), (other, 1)}


def test_when_the_bus_fails_all_messages_stay_and_are_sent_later(database: Database) -> None:
    message_ids = publish_opened(database, *(ids.new("org") for _ in range(3)))
    bus = FakeBus()
    sender = Relay(database, bus)
    bus.is_down = True

    with pytest.raises(ConnectionError):
        sender.step(NOON)

    assert unsent(database) == message_ids
    bus.is_down = False
    assert sender.step(NOON) == 3
    assert unsent(database) == []


def test_an_unroutable_message_blocks_only_its_own_aggregate(database: Database) -> None:
    stuck, free = ids.new("org"), ids.new("org")
    first = publish_opened(database, stuck)[0]
    bus = FakeBus()
    bus.unroutable = {first}
    sender = Relay(database, bus)
    sender.step(NOON)

    behind, unblocked = publish_opened(database, stuck, free)
    sender.step(NOON)

    assert bus.ids == [unblocked]
    assert unsent(database) == [first, behind]
    assert next(r.unsendable for r in rows(database, OutboxRow) if r.id == first) == "312 NO_ROUTE"

    bus.unroutable = set()
    while sender.step(NOON + relay.LONGEST_PAUSE):
        pass

    assert bus.ids == [unblocked, first, behind]
    assert unsent(database) == []
    assert {r.unsendable for r in rows(database, OutboxRow)} == {None}


def test_many_unroutable_messages_do_not_block_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 5)
    bus = FakeBus()
    bus.unroutable = set(publish_opened(database, *(ids.new("org") for _ in range(6))))
    sender = Relay(database, bus)
    sender.step(NOON)
    sender.step(NOON)
    unblocked = publish_opened(database, ids.new("org"))[0]

    sender.step(NOON)

    assert bus.ids == [unblocked]


def test_a_refused_message_blocks_only_its_own_aggregate(database: Database) -> None:
    stuck, free = ids.new("org"), ids.new("org")
    first, second = publish_opened(database, stuck, free)
    bus = FakeBus()
    bus.refusing = {first}
    sender = Relay(database, bus)

    assert sender.step(NOON) == 1

    behind, other = publish_opened(database, stuck, free)
    assert sender.step(NOON) == 1
    assert unsent(database) == [first, behind]
    assert "refused" in next(r.unsendable for r in rows(database, OutboxRow) if r.id == first)

    bus.refusing = set()
    while sender.step(NOON + relay.LONGEST_PAUSE):
        pass

    assert bus.ids == [first, second, other, first, behind]
    assert unsent(database) == []


def test_what_cannot_be_sent_is_tried_again_after_growing_pauses(database: Database) -> None:
    bus, tries = FakeBus(), []
    sender = Relay(database, bus)
    unroutable, refused = publish_opened(database, ids.new("org"), ids.new("org"))
    bus.unroutable, bus.refusing = {unroutable}, {refused}
    bus.during_publish = lambda: tries.append(now)

    for second in range(184):
        now = NOON + timedelta(seconds=second)
        sender.step(now)

    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=1)
    assert pauses[-2:] == [relay.LONGEST_PAUSE] * 2
    assert bus.ids == [refused] * len(tries)


def test_new_messages_do_not_wait_for_the_pause_of_refused_ones_nor_shorten_it(
    database: Database,
) -> None:
    bus = FakeBus()
    sender = Relay(database, bus)
    bus.refusing = set(publish_opened(database, ids.new("org")))
    for second in (0, 1, 3, 7):
        sender.step(NOON + timedelta(seconds=second))
    bus.sent.clear()

    for second in range(8, 15):
        bus.refusing.update(publish_opened(database, ids.new("org"))[: second % 2])
        sender.step(NOON + timedelta(seconds=second))

    assert len(bus.ids) == len(set(bus.ids)) == 7


def test_once_one_refused_message_is_sent_the_others_follow_soon(database: Database) -> None:
    bus = FakeBus()
    sender = Relay(database, bus)
    kept, freed = publish_opened(database, ids.new("org"), ids.new("org"))
    bus.refusing = {kept, freed}
    for second in (0, 1, 3, 7, 15, 31):
        sender.step(NOON + timedelta(seconds=second))
    bus.refusing = {kept}
    sender.step(NOON + timedelta(seconds=63))
    bus.sent.clear()

    sender.step(NOON + timedelta(seconds=64))

    assert bus.ids == [kept]


def test_the_log_names_what_is_refused_once_a_minute(database: Database) -> None:
    bus = FakeBus()
    sender = Relay(database, bus)
    with capture_logs() as lines:
        for second in range(0, 120, 5):
            bus.refusing.update(publish_opened(database, ids.new("org"), ids.new("org")))
            sender.step(NOON + timedelta(seconds=second))

    assert [line["event"] for line in lines] == ["relay.returned"] * 2
    assert {(line["type"], line["reason"]) for line in lines} == {
        (billing.AccountOpened.TYPE, publisher.REFUSED)
    }


def test_a_long_backlog_of_one_aggregate_costs_no_more_than_one_of_many(database: Database) -> None:
    organization_id = ids.new("org")
    row = {"partition": 0, "type": "x", "body": b"x" * 900, "occurred_at": NOON}
    with database.transaction() as session:
        session.execute(
            insert(OutboxRow),
            [
                row | {"id": ids.new("evt"), "aggregate": organization_id, "version": n}
                for n in range(1, 5001)
            ],
        )
    work: list[int] = []
    if database.is_sqlite:  # it can count its work; PostgreSQL has a statement timeout
        event.listen(database.engine, "checkout", lambda raw, *_: _count_work(raw, work))

    assert Relay(database, FakeBus()).step(NOON) == relay.BATCH
    assert len(work) < 5_000


def _count_work(connection: Any, work: list[int]) -> None:
    """Note every thousand instructions of SQLite's virtual machine."""
    connection.set_progress_handler(lambda: work.append(1), 1000)


def test_two_relays_share_the_partitions(database: Database) -> None:
    first_bus, second_bus = FakeBus(), FakeBus()
    first, second = Relay(database, first_bus), Relay(database, second_bus)
    first.step(NOON)
    second.step(NOON)
    first.step(NOON + timedelta(seconds=3))
    second.step(NOON + timedelta(seconds=3))
    message_ids = publish_opened(database, *(ids.new("org") for _ in range(40)))

    first.step(NOON + timedelta(seconds=4))
    second.step(NOON + timedelta(seconds=4))

    assert first_bus.ids and second_bus.ids
    assert sorted(first_bus.ids + second_bus.ids) == sorted(message_ids)
    assert len(first.leases.held(NOON + timedelta(seconds=4))) == PARTITIONS // 2


def test_a_relay_takes_over_when_the_leases_of_another_have_run_out(database: Database) -> None:
    first_bus, second_bus = FakeBus(), FakeBus()
    first, second = Relay(database, first_bus), Relay(database, second_bus)
    first.step(NOON)
    message_ids = publish_opened(database, *(ids.new("org") for _ in range(20)))

    second.step(NOON + leases.LENGTH)

    assert second_bus.ids == message_ids


def test_the_partitions_of_a_frozen_relay_are_taken_over_within_ten_seconds(
    database: Database,
) -> None:
    buses = [FakeBus(), FakeBus(), FakeBus()]
    frozen, *others = [Relay(database, bus) for bus in buses]
    for second in range(0, 60, 2):
        now = NOON + timedelta(seconds=second)
        for each in (frozen, *others):
            each.step(now)
    frozen.leases.renew(now)
    message_ids = publish_opened(database, *(ids.new("org") for _ in range(40)))

    for _ in range(10):
        now += timedelta(seconds=1)
        for each in others:
            each.step(now)

    assert sorted(buses[1].ids + buses[2].ids) == sorted(message_ids)
    assert [len(each.leases.held(now)) for each in others] == [PARTITIONS // 2] * 2

    for _ in range(10):
        now += timedelta(seconds=1)
        for each in (frozen, *others):
            each.step(now)
    shares = [each.leases.held(now).keys() for each in (frozen, *others)]
    assert sorted(map(len, shares)) == [2, 3, 3]
    assert len(frozenset().union(*shares)) == PARTITIONS
    assert buses[0].ids == []


def test_a_relay_that_stops_releases_its_leases(database: Database) -> None:
    first, second, stop = Relay(database, FakeBus()), Relay(database, FakeBus()), threading.Event()
    thread = threading.Thread(target=first.run, args=(stop,))
    thread.start()
    until(lambda: rows(database, leases.Lease))
    stop.set()
    first.wake()
    thread.join()

    assert len(second.leases.held(clock.now())) == PARTITIONS


@pytest.mark.parametrize("lost", [False, True], ids=["sent", "returned"])
def test_a_relay_that_lost_its_lease_while_sending_marks_nothing(
    database: Database, lost: bool
) -> None:
    message_ids = publish_opened(database, ids.new("org"))
    slow_bus, other_bus = FakeBus(), FakeBus()
    expired, successor = Relay(database, slow_bus), Relay(database, other_bus)
    other_bus.is_down = True

    def taken_over() -> None:
        with pytest.raises(ConnectionError):
            successor.step(NOON + leases.LENGTH * 2)

    slow_bus.during_publish = taken_over
    slow_bus.unroutable = set(message_ids) if lost else set()

    expired.step(NOON)

    assert unsent(database) == message_ids
    assert rows(database, OutboxRow)[0].unsendable is None
    other_bus.is_down = False
    assert successor.step(NOON + leases.LENGTH * 2) == 1


def test_a_woken_relay_sends_immediately_and_survives_errors(database: Database) -> None:
    bus, stop = FakeBus(), threading.Event()
    bus.is_down = True
    sender = Relay(database, bus)
    database.on_publish.append(sender.wake)
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()

    message_ids = publish_opened(database, ids.new("org"))
    bus.is_down = False

    until(lambda: unsent(database) == [])
    stop.set()
    sender.wake()
    thread.join()
    assert bus.ids == message_ids


def test_a_woken_relay_looks_again_only_after_a_full_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_ids = publish_opened(database, *(ids.new("org") for _ in range(BATCH + 1)))
    bus, stop = FakeBus(), threading.Event()
    sender = Relay(database, bus)
    sender.is_woken = True
    looks: list[int] = []
    step = sender.step

    def look(now: datetime) -> int:
        looks.append(step(now))
        return looks[-1]

    monkeypatch.setattr(sender, "step", look)
    monkeypatch.setattr(sender._wake, "wait", lambda _: stop.set())

    sender.run(stop)

    assert looks == [BATCH, 1]
    assert bus.ids == message_ids


def test_a_woken_relay_sends_at_once_what_a_returned_message_held_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = ids.new("org")
    message_ids = [publish_opened(database, org)[0] for _ in range(4)]
    bus, stop = FakeBus(), threading.Event()
    bus.unroutable = set(message_ids[:3])
    sender = Relay(database, bus)
    sender.step(clock.now())
    assert len(unsent(database)) > 1

    bus.unroutable = set()
    sender.is_woken = True
    monkeypatch.setattr(sender._wake, "wait", lambda _: stop.set())
    monkeypatch.setattr(sender._retries, "_at", NOON - timedelta(days=365))
    sender.run(stop)

    assert unsent(database) == []


@pytest.mark.parametrize("woken_after", [1.0, 2.9, 3.0])
def test_a_relay_renews_its_leases_in_time_whenever_it_is_woken(
    database: Database, monkeypatch: pytest.MonkeyPatch, woken_after: float
) -> None:
    sender, stop, now = Relay(database, FakeBus()), threading.Event(), [NOON]
    sender.is_woken = True
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += timedelta(seconds=seconds if len(waits) > 1 else woken_after)
        if len(waits) == 3:
            stop.set()

    monkeypatch.setattr(sender._wake, "wait", wait)
    monkeypatch.setattr(clock, "now", lambda: now[0])
    renewals: list[float] = []
    renew = sender.leases.renew
    monkeypatch.setattr(
        sender.leases,
        "renew",
        lambda at: (renewals.append((at - NOON).total_seconds()), renew(at)),
    )
    sender.run(stop)

    assert renewals[:2] == [0.0, 3.0], "half of their time is left"
