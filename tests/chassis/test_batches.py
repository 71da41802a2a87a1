"""Consuming in batches: each message has one effect, and an irregular one is consumed alone without
blocking others."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.messaging import broker, consumers, topology
from chassis.messaging.batches import Batches
from chassis.messaging.envelope import Delivery
from chassis.messaging.inbox_models import (
    DeadLetter,
    InboxRow,
    Redelivery,
    StreamPosition,
    WaitingMessage,
)
from chassis.runtime import ids
from contracts import usage
from devtools.servers import RabbitMQ
from sqlalchemy.exc import IntegrityError, OperationalError

from tests import metering
from tests.chassis import killed_consumer
from tests.chassis.messages import effects, rows
from tests.chassis.recording_listener import RecordingListener
from tests.waiting import until

pytestmark = pytest.mark.both_databases

PROVIDER, ORG = ids.new("org"), ids.new("org")
QUEUE = "billing.batches.usage"


def raw(id_: str, *, data: dict[str, Any] | None = None, **members: Any) -> bytes:
    return metering.message(metering.record(PROVIDER, ORG, id_, **(data or {})), **members)


def delivered(
    *bodies: bytes, published_by: str = "usage", redelivered: bool = False
) -> list[Delivery]:
    return [Delivery(body, published_by, redelivered) for body in bodies]


def deliver(batches: Batches, deliveries: list[Delivery]) -> int:
    """Deliver as the broker does. Returns how many were irregular."""
    irregular = batches.receive(deliveries)
    for n in irregular:
        batches.inbox.receive(
            deliveries[n].raw,
            published_by=deliveries[n].published_by,
            redelivered=deliveries[n].redelivered,
        )
    return len(irregular)


def dead_letter_reasons(database: Database) -> list[str]:
    return sorted(row.reason for row in rows(database, DeadLetter))


# ---- without a broker


def test_a_batch_is_one_transaction_and_leaves_no_inbox_rows(database: Database) -> None:
    listener = RecordingListener()
    deliver(listener.batches(database), delivered(*(raw(f"r{n}") for n in range(50))))
    assert listener.sizes == [50]
    assert effects(database) == [f"r{n}" for n in range(50)]
    assert rows(database, InboxRow) == rows(database, StreamPosition) == []


def test_what_cannot_be_decoded_is_dead_lettered_and_the_rest_is_applied(
    database: Database,
) -> None:
    listener = RecordingListener()
    deliver(
        listener.batches(database),
        [
            *delivered(
                raw("a"),
                b"{",
                raw("b", source="/billing"),
                raw("c", data={"description": "nonsense"}),
                raw("d", type="usage.unknown.v1"),
                raw("e", sequence="0"),
                raw("f", data={"amount": 1}),
                b"x" * 300_000,
            ),
            *delivered(raw("g"), published_by="org"),
            *delivered(raw("h")),
        ],
    )
    assert listener.sizes == [2]
    assert effects(database) == ["a", "h"]
    assert dead_letter_reasons(database) == [
        "bad_envelope",
        "forged",
        "forged",
        "invalid",
        "invalid",
        "too_large",
        "undecodable",
        "unknown_type",
    ]


def test_failing_messages_are_isolated_and_wait(database: Database) -> None:
    listener = RecordingListener()
    listener.poison = {"r77", "r300"}
    deliver(listener.batches(database), delivered(*(raw(f"r{n}") for n in range(500))))
    assert sorted(effects(database)) == sorted(f"r{n}" for n in range(500) if n not in (77, 300))
    assert len(listener.attempts) < 90
    assert [(row.attempts, row.type) for row in rows(database, WaitingMessage)] == [
        (1, "usage.recorded.v1")
    ] * 2
    listener.poison = set()
    inbox = listener.batches(database).inbox
    assert inbox.retry_due(max(row.due_at for row in rows(database, WaitingMessage))) == 2
    assert len(effects(database)) == 500
    assert rows(database, WaitingMessage) == []


def test_a_batch_that_loses_a_race_is_retried_as_a_whole(database: Database) -> None:
    listener = RecordingListener()
    listener.errors = [IntegrityError("insert", {}, Exception("a duplicate was faster"))]
    deliver(listener.batches(database), delivered(raw("a"), raw("b")))
    assert listener.attempts == [["a", "b"], ["a", "b"]]
    assert effects(database) == ["a", "b"]


def test_with_the_database_unavailable_nothing_counts_as_delivered(database: Database) -> None:
    listener = RecordingListener()
    away = OperationalError("insert", {}, Exception("gone"), connection_invalidated=True)
    listener.errors = [away]
    with pytest.raises(OperationalError):
        deliver(listener.batches(database), delivered(raw("a"), raw("b")))
    assert listener.attempts == [["a", "b"]]
    assert effects(database) == []
    assert dead_letter_reasons(database) == []


def test_a_refused_message_is_applied_once_however_often_it_is_delivered(
    database: Database,
) -> None:
    listener = RecordingListener()
    listener.refused = {"poor"}
    batches, refused_message = listener.batches(database), raw("poor")
    deliver(batches, delivered(raw("a"), refused_message, refused_message))
    deliver(batches, delivered(refused_message, raw("b")))
    batches.inbox.receive(refused_message, published_by="usage", redelivered=True)
    assert effects(database) == ["a", "refused poor", "b"]
    listener.refused = set()
    deliver(batches, delivered(refused_message))
    assert "poor" not in effects(database)
    deliver(batches, delivered(raw("poor")))
    assert effects(database)[-1] == "poor"
    assert dead_letter_reasons(database) == []


def test_after_a_refusal_another_body_with_the_same_id_is_dead_lettered(database: Database) -> None:
    listener = RecordingListener()
    listener.refused = {"poor"}
    batches, same = listener.batches(database), ids.new("evt")
    deliver(batches, delivered(raw("poor", id=same)))
    deliver(batches, delivered(raw("rich", id=same)))
    assert effects(database) == ["refused poor"]
    assert dead_letter_reasons(database) == ["bad_envelope"]


def test_two_bodies_with_one_id_in_one_batch_are_both_applied(database: Database) -> None:
    listener, same = RecordingListener(), ids.new("evt")
    assert (
        deliver(listener.batches(database), delivered(raw("one", id=same), raw("two", id=same)))
        == 1
    )
    assert effects(database) == ["one", "two"]


def test_a_second_delivery_is_batched_and_a_third_is_applied_alone(
    database: Database,
) -> None:
    listener = RecordingListener()
    batches, both = listener.batches(database), [raw("a"), raw("b")]
    assert deliver(batches, delivered(*both, redelivered=True)) == 0
    assert deliver(batches, delivered(*both, redelivered=True) + delivered(raw("c"))) == 2
    assert listener.sizes == [2, 1, 1, 1]
    assert sorted(effects(database)) == ["a", "b", "c"]
    assert [row.times for row in rows(database, Redelivery)] == [2, 2]


def test_order_does_not_matter(database: Database) -> None:
    listener = RecordingListener()
    inbox = listener.batches(database).inbox
    for n in ("3", "1", "1"):
        inbox.receive(raw(f"r{ids.new('evt')}", sequence=n), published_by="usage")
    assert len(effects(database)) == 3
    assert dead_letter_reasons(database) == []


# ---- with a broker


class UsageBroker:
    """A broker where billing consumes usage in batches."""

    def __init__(self, server: RabbitMQ) -> None:
        self.server = server
        self.urls = server.create_service_users("billing", "org", "usage")
        topology.declare(server.url(), "billing", ["usage"], [], [usage.Recorded.TYPE])
        server.settle()

    def depth(self) -> int:
        with broker.connect(self.server.url(), "test") as connection:
            return int(connection.channel().queue_declare(QUEUE, passive=True).message_count)

    @contextmanager
    def consuming(self, *many: Batches) -> Iterator[None]:
        stop = threading.Event()
        of_each = [
            consumers.RabbitBatchConsumer(self.urls["billing"], "billing", batches)
            for batches in many
        ]
        threads = [
            threading.Thread(target=consumer.run, args=(stop,), daemon=True) for consumer in of_each
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()


@pytest.fixture(scope="module")
def shared_usage_broker(rabbitmq: RabbitMQ) -> UsageBroker:
    return UsageBroker(rabbitmq)


@pytest.fixture
def usage_broker(shared_usage_broker: UsageBroker) -> UsageBroker:
    with broker.connect(shared_usage_broker.server.url(), "test") as connection:
        connection.channel().queue_purge(QUEUE)
        connection.channel().queue_purge("billing.dead")
    return shared_usage_broker


def publish(usage_broker: UsageBroker, *bodies: bytes) -> None:
    metering.publish(usage_broker.urls["usage"], bodies)


def test_a_backlog_is_consumed_in_batches_of_at_most_500(
    postgres_database: Database, usage_broker: UsageBroker
) -> None:
    publish(usage_broker, *(raw(f"r{n}") for n in range(3000)))
    listener = RecordingListener()
    with usage_broker.consuming(listener.batches(postgres_database)):
        until(lambda: sum(listener.sizes) >= 3000)
    assert max(listener.sizes) == 500
    assert len(listener.sizes) < 30
    assert sorted(effects(postgres_database)) == sorted(f"r{n}" for n in range(3000))
    assert usage_broker.depth() == 0


def test_a_batch_of_large_messages_is_smaller(
    monkeypatch: pytest.MonkeyPatch, postgres_database: Database, usage_broker: UsageBroker
) -> None:
    monkeypatch.setattr(consumers.RabbitBatchConsumer, "batch_bytes", 20 * len(raw("r100")))
    publish(usage_broker, *(raw(f"r{n}") for n in range(100, 300)))
    listener = RecordingListener()
    with usage_broker.consuming(listener.batches(postgres_database)):
        until(lambda: sum(listener.sizes) >= 200)
    assert max(listener.sizes) == 20
    assert usage_broker.depth() == 0


def test_a_single_message_is_not_delayed(
    postgres_database: Database, usage_broker: UsageBroker
) -> None:
    listener, applied = RecordingListener(), threading.Event()
    apply = listener.apply

    def noted(*arguments: Any) -> list[int]:
        applied.set()
        return apply(*arguments)

    listener.apply = noted  # type: ignore[method-assign]
    with (
        usage_broker.consuming(listener.batches(postgres_database)),
        broker.connect(usage_broker.urls["usage"], "test") as connection,
    ):
        publish(usage_broker, raw("first"))
        assert applied.wait(60)
        channel = connection.channel()
        for n in range(20):
            applied.clear()
            body = metering.amqp.Message(raw(f"r{n}"), user_id="usage", delivery_mode=2)
            channel.basic_publish_confirm(body, "usage", usage.Recorded.TYPE, confirm_timeout=60)
            assert applied.wait(60)
    assert len(listener.sizes) == 21


def test_two_consumers_share_the_work(
    postgres_database: Database, usage_broker: UsageBroker
) -> None:
    first, second = RecordingListener(), RecordingListener()
    with usage_broker.consuming(
        first.batches(postgres_database), second.batches(postgres_database)
    ):
        publish(usage_broker, *(raw(f"r{n}") for n in range(4000)))
        until(lambda: sum(first.sizes) + sum(second.sizes) >= 4000)
    assert first.sizes
    assert second.sizes
    assert sorted(effects(postgres_database)) == sorted(f"r{n}" for n in range(4000))


def test_only_usage_can_publish_usage(
    postgres_database: Database, usage_broker: UsageBroker
) -> None:
    with pytest.raises(metering.amqp.AccessRefused):
        metering.publish(usage_broker.urls["org"], [raw("a")], user="org")
    with pytest.raises(metering.amqp.PreconditionFailed):
        metering.publish(usage_broker.urls["usage"], [raw("a")], user="org")
    for queue in (QUEUE, "billing.inbox.8.0"):
        with (
            broker.connect(usage_broker.urls["usage"], "test") as connection,
            pytest.raises(metering.amqp.AccessRefused),
        ):
            connection.channel().basic_get(queue)
    listener = RecordingListener()
    metering.publish(usage_broker.urls["usage"], [raw("b")], user=None)
    with usage_broker.consuming(listener.batches(postgres_database)):
        until(lambda: rows(postgres_database, DeadLetter))
    assert dead_letter_reasons(postgres_database) == ["forged"]
    assert effects(postgres_database) == []


def test_a_broker_restart_loses_and_repeats_nothing(
    postgres_database: Database, usage_broker: UsageBroker
) -> None:
    listener = RecordingListener()
    with usage_broker.consuming(listener.batches(postgres_database)):
        publish(usage_broker, *(raw(f"r{n}") for n in range(1500)))
        usage_broker.server.kill()
        usage_broker.server.restart()
        publish(usage_broker, *(raw(f"s{n}") for n in range(500)))
        until(lambda: len(effects(postgres_database)) == 2000)
    assert len(set(effects(postgres_database))) == 2000
    assert dead_letter_reasons(postgres_database) == []


def start_consumer(
    usage_broker: UsageBroker, database: Database, failpoint: str = ""
) -> BaseProcess:
    return killed_consumer.start(usage_broker.urls["billing"], database.url, failpoint)


@pytest.mark.parametrize("point", ["batch.before_commit", "batch.before_ack"])
def test_after_a_kill_during_a_batch_each_message_has_one_effect(
    postgres_database: Database, usage_broker: UsageBroker, point: str
) -> None:
    publish(usage_broker, *(raw(f"r{n}") for n in range(700)))
    process = start_consumer(usage_broker, postgres_database, point)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert len(effects(postgres_database)) in (
        (0,) if point == "batch.before_commit" else range(1, 501)
    )
    listener = RecordingListener()
    with usage_broker.consuming(listener.batches(postgres_database)):
        until(lambda: len(effects(postgres_database)) == 700)
        until(lambda: usage_broker.depth() == 0)
    assert len(set(effects(postgres_database))) == 700
    assert dead_letter_reasons(postgres_database) == []


def test_a_record_that_kills_the_process_is_dead_lettered_and_no_other_is(
    postgres_database: Database, usage_broker: UsageBroker
) -> None:
    publish(
        usage_broker,
        *(raw(f"r{n}") for n in range(30)),
        raw("killer"),
        *(raw(f"s{n}") for n in range(30)),
    )
    deaths = 0
    while len(effects(postgres_database)) < 60:
        process = start_consumer(usage_broker, postgres_database)
        until(partial(_has_ended_or_applied_all, process, postgres_database))
        deaths += process.exitcode is not None
        process.kill()
        process.join()
    assert deaths == 6
    assert dead_letter_reasons(postgres_database) == ["crashes"]
    assert max(row.times for row in rows(postgres_database, Redelivery)) == 6
    assert sorted(row.times for row in rows(postgres_database, Redelivery))[-2] <= 3


def _has_ended_or_applied_all(process: BaseProcess, database: Database) -> bool:
    return process.exitcode is not None or len(effects(database)) == 60
