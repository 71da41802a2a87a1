"""The inbox as several queues: who consumes which, and changing their number while messages
flow."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import amqp
import pytest
from chassis.db.database import Database
from chassis.messaging import broker as rabbit
from chassis.messaging import consumers, topology
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import DeadLetter
from chassis.runtime import ids
from chassis.runtime.settings import Misconfigured
from contracts import billing

from tests.chassis.conftest import Broker
from tests.chassis.messages import effects, note, raw, rows
from tests.waiting import until

SERVICE = "membership"
TYPES = [billing.AccountOpened.TYPE]
# The queue and its arguments before there were several.
SINGLE = f"{SERVICE}.inbox"
SINGLE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 50,
    "x-single-active-consumer": True,
    "x-overflow": "reject-publish",
}


class Partitioned:
    """A broker on which ``membership`` consumes from billing."""

    def __init__(self, broker: Broker, database: Database) -> None:
        self.broker, self.database = broker, database

    def declare(self, size: int) -> None:
        url = self.broker.server.url()
        topology.declare(url, SERVICE, ["billing"], TYPES, size=size)

    def layout(self) -> topology.Layout:
        with self.broker.channel() as channel:
            return topology.layout(channel.connection.client, SERVICE)

    def declare_single(self) -> None:
        with self.broker.channel() as channel:
            channel.queue_declare(
                SINGLE, durable=True, auto_delete=False, arguments=SINGLE_ARGUMENTS
            )
            channel.queue_bind(SINGLE, "billing", TYPES[0])

    def publish(self, organization_id: str, *versions: int) -> None:
        with self.broker.channel("billing") as channel:
            for version in versions:
                _publish(channel, organization_id, version)

    def consumer(self, listener: Any = note) -> consumers.RabbitConsumer:
        inbox = Inbox(self.database, {billing.AccountOpened: listener})
        return consumers.RabbitConsumer(self.broker.urls[SERVICE], SERVICE, inbox)

    @contextmanager
    def consuming(self, *running: consumers.RabbitConsumer) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=each.run, args=(stop,), daemon=True) for each in running]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive()

    def applied(self) -> dict[str, list[int]]:
        """The versions applied of each organization, in their order."""
        versions: dict[str, list[int]] = {}
        for effect in effects(self.database):
            organization_id, version = effect.split()
            versions.setdefault(organization_id, []).append(int(version))
        return versions


def _publish(channel: Any, organization_id: str, version: int) -> None:
    message = amqp.Message(
        raw(organization_id, version),
        user_id="billing",
        delivery_mode=2,
        application_headers={topology.HASHED: organization_id},
    )
    channel.basic_publish_confirm(message, "billing", TYPES[0], confirm_timeout=60)


@pytest.fixture
def partitioned(broker: Broker, postgres_database: Database) -> Iterator[Partitioned]:
    yield Partitioned(broker, postgres_database)
    with broker.channel() as channel:
        for size in (1, 2, 4, 8, 16):
            channel.exchange_delete(f"{SERVICE}.inbox.{size}")
            channel.exchange_delete(f"{SERVICE}.inbox.{size}.changing")
            for number in range(size):
                channel.queue_delete(f"{SERVICE}.inbox.{size}.{number}")
        channel.queue_delete(SINGLE)


@contextmanager
def load(partitioned: Partitioned, organizations: list[str]) -> Iterator[list[int]]:
    """Publish the next version of each organization again and again meanwhile. Yields a list with
    the last version at its end."""
    last, done = [0], threading.Event()

    def publish() -> None:
        with partitioned.broker.channel("billing") as channel:
            while not done.wait(0.05):
                last[0] += 1
                for organization_id in organizations:
                    _publish(channel, organization_id, last[0])

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        until(lambda: last[0] >= 3)
        yield last
    finally:
        done.set()
        thread.join()


def test_messages_about_one_organization_are_in_one_queue_in_order(
    partitioned: Partitioned,
) -> None:
    partitioned.declare(4)
    organizations = [ids.new("org") for _ in range(24)]
    for organization_id in organizations:
        partitioned.publish(organization_id, 1, 2)

    queues = partitioned.layout().queues
    taken = [
        partitioned.broker.take(partitioned.broker.depth(queue), queue=queue) for queue in queues
    ]

    assert sum(map(len, taken)) == 48
    assert sum(bool(messages) for messages in taken) > 1
    for organization_id in organizations:
        holding = [m for messages in taken for m in messages if organization_id.encode() in m]
        assert any(set(holding) <= set(messages) for messages in taken)
        assert [b'"sequence": "2"' in message for message in holding] == [False, True]


def test_two_consumers_share_the_queues_and_one_takes_over_when_the_other_is_gone(
    partitioned: Partitioned,
) -> None:
    partitioned.declare(4)
    organizations = [ids.new("org") for _ in range(24)]
    first, second = partitioned.consumer(), partitioned.consumer()

    with partitioned.consuming(first):
        with partitioned.consuming(second):
            until(lambda: [_share(first), _share(second)] == [2, 2])
            for organization_id in organizations:
                partitioned.publish(organization_id, 1, 2)
            until(lambda: len(effects(partitioned.database)) == 48)
            # It dies without a word: its leases are not given away.
            second._release = lambda: None  # type: ignore[method-assign]
        for organization_id in organizations:
            partitioned.publish(organization_id, 3)
        until(lambda: len(effects(partitioned.database)) == 72)

    assert partitioned.applied() == {key: [1, 2, 3] for key in organizations}
    # The others notice at their next renewal, and the broker ends a silent connection.
    assert 1.5 * consumers.LEASE.total_seconds() <= 15
    assert 2.5 * rabbit.HEARTBEAT <= 15


def _share(consumer: consumers.RabbitConsumer) -> int:
    return len(consumer._leases._fences) if consumer._leases else 0


def test_the_single_queue_of_an_earlier_version_is_emptied_first_under_load(
    partitioned: Partitioned,
) -> None:
    organizations = [ids.new("org") for _ in range(6)]
    partitioned.declare_single()
    with load(partitioned, organizations) as last:
        partitioned.declare(2)
        declared_at = last[0]
        with partitioned.consuming(partitioned.consumer(), partitioned.consumer()):
            until(lambda: SINGLE not in partitioned.layout().old, every=0.3)
            until(lambda: last[0] > declared_at + 3)
    with partitioned.consuming(partitioned.consumer()):
        until(lambda: len(effects(partitioned.database)) == 6 * last[0])

    assert partitioned.applied() == {key: list(range(1, last[0] + 1)) for key in organizations}
    assert rows(partitioned.database, DeadLetter) == []


@pytest.mark.exhaustive
def test_an_old_queue_is_left_to_the_consumer_of_an_earlier_version(
    partitioned: Partitioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[bool] = []
    is_free = topology.is_free
    monkeypatch.setattr(
        topology, "is_free", lambda *about: free.append(is_free(*about)) or free[-1]
    )
    partitioned.declare_single()
    organization_id = ids.new("org")
    with partitioned.broker.channel(SERVICE) as channel:
        held: list[Any] = []
        channel.basic_consume(SINGLE, callback=held.append)
        partitioned.publish(organization_id, 1)
        until(lambda: _drained(channel) or held)
        partitioned.declare(2)
        partitioned.publish(organization_id, 2)
        with partitioned.consuming(partitioned.consumer()):
            until(lambda: len(free) >= 2)
            assert not any(free)
            assert effects(partitioned.database) == []
            channel.connection.collect()
            until(lambda: len(effects(partitioned.database)) == 2)

    assert partitioned.applied() == {organization_id: [1, 2]}


def _drained(channel: Any) -> None:
    try:
        channel.connection.drain_events(timeout=1)
    except TimeoutError:
        return


@pytest.mark.exhaustive
def test_the_number_of_queues_changes_under_load_without_a_restart(
    partitioned: Partitioned,
) -> None:
    organizations = [ids.new("org") for _ in range(6)]
    partitioned.declare(2)
    with ExitStack() as stack:
        stack.enter_context(partitioned.consuming(partitioned.consumer(), partitioned.consumer()))
        with load(partitioned, organizations) as last:
            partitioned.declare(4)
            changed_at = last[0]
            until(lambda: not partitioned.layout().old and last[0] > changed_at + 3, every=0.3)
        until(lambda: len(effects(partitioned.database)) == 6 * last[0])

    assert partitioned.applied() == {key: list(range(1, last[0] + 1)) for key in organizations}
    assert partitioned.layout().queues == tuple(f"{SERVICE}.inbox.4.{n}" for n in range(4))
    assert rows(partitioned.database, DeadLetter) == []


@pytest.mark.exhaustive
def test_the_number_is_not_changed_again_before_the_old_queues_are_empty(
    partitioned: Partitioned,
) -> None:
    partitioned.declare(2)
    partitioned.declare(4)
    partitioned.declare(4)

    with pytest.raises(Misconfigured, match=r"membership\.inbox\.2\.0, membership\.inbox\.2\.1"):
        partitioned.declare(8)

    with partitioned.consuming(partitioned.consumer()):
        until(lambda: not partitioned.layout().old, every=0.3)
    partitioned.declare(8)
    assert partitioned.layout().exchange == f"{SERVICE}.inbox.8"


@pytest.mark.parametrize("size", [0, 3, 65])
def test_the_number_of_queues_is_a_power_of_two(partitioned: Partitioned, size: int) -> None:
    with pytest.raises(Misconfigured, match="must be one of"):
        partitioned.declare(size)


def test_consumers_say_what_to_do_where_nothing_is_declared(partitioned: Partitioned) -> None:
    with pytest.raises(topology.NotDeclared, match="run its command topology"):
        partitioned.layout()


def test_an_interrupted_change_is_repeated_with_the_same_number(partitioned: Partitioned) -> None:
    partitioned.declare(2)
    with partitioned.broker.channel() as channel:
        channel.exchange_declare(
            f"{SERVICE}.inbox.4.changing", "fanout", durable=True, auto_delete=False
        )
    with pytest.raises(topology.NotDeclared, match="being declared"):
        partitioned.layout()
    for other in (2, 8):
        with pytest.raises(Misconfigured, match="a change to 4 queues was interrupted"):
            partitioned.declare(other)

    partitioned.declare(4)

    assert partitioned.layout().exchange == f"{SERVICE}.inbox.4"


def test_a_layout_that_changes_while_it_is_read_is_not_used(
    partitioned: Partitioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitioned.declare(4)
    old_queues = topology._old_queues

    def change_meanwhile(*about: Any) -> list[str]:
        monkeypatch.setattr(topology, "_old_queues", old_queues)
        partitioned.declare(2)
        return old_queues(*about)

    monkeypatch.setattr(topology, "_old_queues", change_meanwhile)

    with pytest.raises(topology.NotDeclared):
        partitioned.layout()
    assert partitioned.layout().exchange == f"{SERVICE}.inbox.2"


@pytest.mark.exhaustive
def test_an_organization_keeps_its_queue_when_the_broker_restarts(
    partitioned: Partitioned,
) -> None:
    partitioned.declare(16)
    organizations = [ids.new("org") for _ in range(20)]
    for organization_id in organizations:
        partitioned.publish(organization_id, 1)
    queues = partitioned.layout().queues
    before = [partitioned.broker.depth(queue) for queue in queues]

    partitioned.broker.server.settle()
    partitioned.broker.server.restart()
    for organization_id in organizations:
        partitioned.publish(organization_id, 2)

    depths = [partitioned.broker.depth(queue) for queue in queues]
    assert depths == [2 * count for count in before]


def test_a_batch_has_a_limited_number_of_messages_and_adapts_to_its_time(
    partitioned: Partitioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    consumer = partitioned.consumer()
    together = consumer.inbox.receive_together

    def noted(deliveries: Any) -> bool:
        sizes.append(len(deliveries))
        return together(deliveries)

    monkeypatch.setattr(consumer.inbox, "receive_together", noted)
    monkeypatch.setattr(consumers, "LONG_BATCH", 0.0)
    monkeypatch.setattr(consumers.RabbitConsumer, "batch", 8)
    consumer._size = 8
    partitioned.declare(1)
    for _ in range(3):
        partitioned.publish(organization_id := ids.new("org"), *range(1, 11))
    with partitioned.consuming(consumer):
        until(lambda: len(effects(partitioned.database)) == 30)

    assert organization_id in partitioned.applied()
    assert sizes[0] <= 8
    assert sizes[-1] <= 2
