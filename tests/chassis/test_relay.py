"""From the outbox to the bus: in order, under a lease, marked only by its holder."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.messaging import relay
from chassis.messaging.outbox import OutboxRow
from chassis.messaging.relay import OutgoingMessage, PublishResult, Relay
from chassis.runtime import ids
from sqlalchemy import event, insert

from tests.chassis.conftest import until
from tests.chassis.messages import NOON, rows, say

pytestmark = pytest.mark.both_databases


class Carrier:
    """A bus that remembers; ``lost`` ids have nowhere to go, ``broken`` raises, ``meanwhile`` runs
    while it carries."""

    def __init__(self) -> None:
        self.carried: list[OutgoingMessage] = []
        self.lost: set[str] = set()
        self.broken = False
        self.meanwhile: Callable[[], object] = lambda: None

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        self.meanwhile()
        if self.broken:
            raise ConnectionError("the broker is away")
        self.carried += [message for message in messages if message.id not in self.lost]
        returned = {message.id: "312 NO_ROUTE" for message in messages if message.id in self.lost}
        return PublishResult(
            frozenset(message.id for message in messages) - returned.keys(), returned
        )

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.carried]


def unsent(database: Database) -> list[str]:
    return [
        row.id
        for row in sorted(rows(database, OutboxRow), key=lambda r: r.seq)
        if row.published_at is None
    ]


def test_what_was_said_is_published_in_the_order_it_was_said_and_only_once(
    database: Database,
) -> None:
    one, other = ids.new("org"), ids.new("org")
    said, carrier = say(database, one, one, other, one), Carrier()
    only = Relay(database, carrier)

    moved = [only.step(NOON), only.step(NOON)]

    assert moved == [4, 0]
    assert carrier.ids == said
    assert unsent(database) == []


def test_what_was_rolled_back_was_never_said(database: Database) -> None:
    from chassis.messaging import outbox

    from tests.chassis.messages import opened

    with pytest.raises(RuntimeError), database.transaction() as session:
        outbox.publish(session, opened(ids.new("org")))
        raise RuntimeError

    assert rows(database, OutboxRow) == []


def test_versions_count_per_aggregate(database: Database) -> None:
    one, other = ids.new("org"), ids.new("org")

    say(database, one, other, one)

    found = {(row.aggregate, row.version) for row in rows(database, OutboxRow)}
    assert found == {(one, 1), (one, 2), (other, 1)}


def test_while_the_bus_is_in_doubt_every_row_stays_and_is_sent_later(database: Database) -> None:
    said, carrier = say(database, *(ids.new("org") for _ in range(3))), Carrier()
    only = Relay(database, carrier)
    carrier.broken = True

    with pytest.raises(ConnectionError):
        only.step(NOON)

    assert unsent(database) == said
    carrier.broken = False
    assert only.step(NOON) == 3
    assert unsent(database) == []


def test_a_message_with_nowhere_to_go_holds_back_its_own_aggregate_only(database: Database) -> None:
    stuck, free = ids.new("org"), ids.new("org")
    first = say(database, stuck)[0]
    carrier = Carrier()
    carrier.lost = {first}
    only = Relay(database, carrier)
    only.step(NOON)

    behind, passing = say(database, stuck, free)
    only.step(NOON)

    assert carrier.ids == [passing]
    assert unsent(database) == [first, behind]
    assert next(r.unsendable for r in rows(database, OutboxRow) if r.id == first) == "312 NO_ROUTE"

    carrier.lost = set()
    while only.step(NOON):
        pass

    assert carrier.ids == [passing, first, behind]
    assert unsent(database) == []
    assert {r.unsendable for r in rows(database, OutboxRow)} == {None}


def test_many_messages_with_nowhere_to_go_do_not_hold_back_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 5)
    carrier = Carrier()
    carrier.lost = set(say(database, *(ids.new("org") for _ in range(6))))
    only = Relay(database, carrier)
    only.step(NOON)
    only.step(NOON)
    passing = say(database, ids.new("org"))[0]

    only.step(NOON)

    assert carrier.ids == [passing]


def test_a_long_backlog_of_one_aggregate_costs_no_more_than_one_of_many(database: Database) -> None:
    one, row = (
        ids.new("org"),
        {"partition": 0, "type": "x", "body": b"x" * 900, "occurred_at": NOON},
    )
    with database.transaction() as session:
        session.execute(
            insert(OutboxRow),
            [row | {"id": ids.new("evt"), "aggregate": one, "version": n} for n in range(1, 5001)],
        )
    work: list[int] = []
    if database.is_sqlite:  # which can say how much it does; PostgreSQL ends what takes too long
        event.listen(database.engine, "checkout", lambda raw, *_: _count_work(raw, work))

    assert Relay(database, Carrier()).step(NOON) == relay.BATCH
    assert len(work) < 5_000


def _count_work(connection: Any, work: list[int]) -> None:
    """Note every thousand instructions of SQLite's machine."""
    connection.set_progress_handler(lambda: work.append(1), 1000)


def test_a_second_relay_stands_by_while_the_lease_of_the_first_holds(database: Database) -> None:
    mine, yours = Carrier(), Carrier()
    first, second = Relay(database, mine), Relay(database, yours)
    said = say(database, *(ids.new("org") for _ in range(20)))

    first.step(NOON)
    second.step(NOON + timedelta(seconds=5))

    assert mine.ids == said
    assert yours.ids == []


def test_a_second_relay_takes_over_when_the_lease_of_the_first_has_run_out(
    database: Database,
) -> None:
    mine, yours = Carrier(), Carrier()
    first, second = Relay(database, mine), Relay(database, yours)
    first.step(NOON)
    said = say(database, *(ids.new("org") for _ in range(20)))

    second.step(NOON + relay.LEASE + timedelta(microseconds=1))

    assert yours.ids == said
    assert {row.holder for row in rows(database, relay.RelayLease)} == {second.holder}
    assert {row.fence for row in rows(database, relay.RelayLease)} == {2}


def test_a_relay_that_renews_in_time_keeps_its_lease(database: Database) -> None:
    first, second = Relay(database, Carrier()), Relay(database, Carrier())
    first.step(NOON)
    first.step(NOON + timedelta(seconds=4))

    second.step(NOON + timedelta(seconds=7))

    assert {row.holder for row in rows(database, relay.RelayLease)} == {first.holder}


def test_a_relay_that_gives_up_lets_the_next_in_at_once(database: Database) -> None:
    first, second, stop = Relay(database, Carrier()), Relay(database, Carrier()), threading.Event()
    thread = threading.Thread(target=first.run, args=(stop,))
    thread.start()
    until(lambda: rows(database, relay.RelayLease))
    stop.set()
    first.wake()
    thread.join()

    from chassis.runtime import clock

    second.step(clock.now())

    assert {row.holder for row in rows(database, relay.RelayLease)} == {second.holder}


@pytest.mark.parametrize("lost", [False, True], ids=["sent", "returned"])
def test_a_relay_whose_lease_was_taken_over_while_it_carried_marks_nothing(
    database: Database, lost: bool
) -> None:
    said = say(database, ids.new("org"))
    slow, quick = Carrier(), Carrier()
    zombie, heir = Relay(database, slow), Relay(database, quick)
    quick.broken = True

    def taken_over() -> None:
        with pytest.raises(ConnectionError):
            heir.step(NOON + relay.LEASE * 2)

    slow.meanwhile = taken_over
    slow.lost = set(said) if lost else set()

    zombie.step(NOON)

    assert unsent(database) == said
    assert rows(database, OutboxRow)[0].unsendable is None
    quick.broken = False
    assert heir.step(NOON + relay.LEASE * 2) == 1


def test_a_woken_relay_publishes_at_once_and_survives_trouble(database: Database) -> None:
    carrier, stop = Carrier(), threading.Event()
    carrier.broken = True
    only = Relay(database, carrier)
    database.on_publish.append(only.wake)
    thread = threading.Thread(target=only.run, args=(stop,))
    thread.start()

    said = say(database, ids.new("org"))
    carrier.broken = False

    until(lambda: unsent(database) == [])
    stop.set()
    only.wake()
    thread.join()
    assert carrier.ids == said
