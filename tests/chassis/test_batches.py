"""Many messages in one transaction: each with one effect, whatever is odd heard alone, nobody
blocked by it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.errors import invalid
from chassis.messaging import broker
from chassis.messaging.batches import Batch, Batches, Delivery
from chassis.messaging.inbox import Inbox
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
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from tests import metering
from tests.chassis.conftest import until
from tests.chassis.messages import Effect, effects, rows

pytestmark = pytest.mark.both_databases

PROVIDER, ORG = ids.new("org"), ids.new("org")
QUEUE = "billing.usage"


class Till:
    """A listener that notes each record once, and the sizes of the batches. What it is told to do,
    it does to the records of that name."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.tries: list[list[str]] = []
        self.poison: set[str] = set()
        self.refused: set[str] = set()
        self.once: list[Exception] = []

    def read(self, message: usage.Recorded) -> str:
        if message.description == "nonsense":
            raise invalid("/data", "invalid_record", "it says nothing")
        return message.id

    def apply(self, session: Session, records: Sequence[str], now: datetime) -> list[int]:
        self.tries.append(list(records))
        known = set(session.scalars(select(Effect.word).where(Effect.word.in_(records))))
        fresh = dict.fromkeys(
            word for word in records if word not in known and word not in self.refused
        )
        refused = [n for n, word in enumerate(records) if word in self.refused]
        session.add_all(
            Effect(word=word) for word in [*fresh, *(f"refused {records[n]}" for n in refused)]
        )
        session.flush()
        if self.once:
            raise self.once.pop()
        if bad := self.poison & set(records):
            raise RuntimeError(f"can't be {bad}")
        self.sizes.append(len(records))
        return refused

    def batches(self, database: Database) -> Batches:
        batch = Batch(read=self.read, apply=self.apply)
        return Batches(Inbox(database, {usage.Recorded: batch.apply_one}), usage.Recorded, batch)


def raw(id_: str, **other: Any) -> bytes:
    return metering.message(metering.record(PROVIDER, ORG, id_, **other.pop("data", {})), **other)


def delivered(
    *bodies: bytes, published_by: str = "usage", redelivered: bool = False
) -> list[Delivery]:
    return [Delivery(body, published_by, redelivered) for body in bodies]


def hear(batches: Batches, deliveries: list[Delivery]) -> int:
    """As the carrier does it; how many were heard alone."""
    alone = batches.receive(deliveries)
    for n in alone:
        batches.inbox.receive(
            deliveries[n].raw,
            published_by=deliveries[n].published_by,
            redelivered=deliveries[n].redelivered,
        )
    return len(alone)


def dead(database: Database) -> list[str]:
    return sorted(row.reason for row in rows(database, DeadLetter))


# ---- without a broker
# -----------------------------------------------------------------------------------------------


def test_a_batch_is_one_transaction_and_leaves_no_inbox_rows(database: Database) -> None:
    till = Till()
    hear(till.batches(database), delivered(*(raw(f"r{n}") for n in range(50))))
    assert till.sizes == [50]
    assert effects(database) == [f"r{n}" for n in range(50)]
    assert rows(database, InboxRow) == rows(database, StreamPosition) == []


def test_what_cannot_be_understood_is_laid_aside_and_the_rest_is_heard(database: Database) -> None:
    till = Till()
    hear(
        till.batches(database),
        [
            *delivered(
                raw("a"),
                b"{",
                raw("b", source="/billing"),
                raw("c", data={"description": "nonsense"}),
                raw("d", type="usage.unheard_of.v1"),
                raw("e", sequence="0"),
                raw("f", data={"amount": 1}),
                b"x" * 300_000,
            ),
            *delivered(raw("g"), published_by="org"),
            *delivered(raw("h")),
        ],
    )
    assert till.sizes == [2]
    assert effects(database) == ["a", "h"]
    assert dead(database) == [
        "bad_envelope",
        "forged",
        "forged",
        "invalid",
        "invalid",
        "too_large",
        "undecodable",
        "unknown_type",
    ]


def test_poison_is_found_and_waits_alone(database: Database) -> None:
    till = Till()
    till.poison = {"r77", "r300"}
    hear(till.batches(database), delivered(*(raw(f"r{n}") for n in range(500))))
    assert sorted(effects(database)) == sorted(f"r{n}" for n in range(500) if n not in (77, 300))
    assert len(till.tries) < 90
    assert [(row.attempts, row.type) for row in rows(database, WaitingMessage)] == [
        (1, "usage.recorded.v1")
    ] * 2
    till.poison = set()
    inbox = till.batches(database).inbox
    assert inbox.retry_due(max(row.due_at for row in rows(database, WaitingMessage))) == 2
    assert len(effects(database)) == 500
    assert rows(database, WaitingMessage) == []


def test_a_lost_race_is_tried_again_together(database: Database) -> None:
    till = Till()
    till.once = [IntegrityError("insert", {}, Exception("a twin was faster"))]
    hear(till.batches(database), delivered(raw("a"), raw("b")))
    assert till.tries == [["a", "b"], ["a", "b"]]
    assert effects(database) == ["a", "b"]


def test_with_the_database_away_nothing_counts_as_delivered(database: Database) -> None:
    till = Till()
    away = OperationalError("insert", {}, Exception("gone"), connection_invalidated=True)
    till.once = [away]
    with pytest.raises(OperationalError):
        hear(till.batches(database), delivered(raw("a"), raw("b")))
    assert till.tries == [["a", "b"]]
    assert effects(database) == []
    assert dead(database) == []


def test_a_refused_message_is_answered_once_however_often_it_comes(database: Database) -> None:
    till = Till()
    till.refused = {"poor"}
    batches, poor = till.batches(database), raw("poor")
    hear(batches, delivered(raw("a"), poor, poor))
    hear(batches, delivered(poor, raw("b")))
    batches.inbox.receive(poor, published_by="usage", redelivered=True)
    assert effects(database) == ["a", "refused poor", "b"]
    till.refused = set()
    hear(batches, delivered(poor))
    assert "poor" not in effects(database)
    hear(batches, delivered(raw("poor")))
    assert effects(database)[-1] == "poor"
    assert dead(database) == []


def test_the_same_message_with_another_body_is_laid_aside_once_refused(database: Database) -> None:
    till = Till()
    till.refused = {"poor"}
    batches, same = till.batches(database), ids.new("evt")
    hear(batches, delivered(raw("poor", id=same)))
    hear(batches, delivered(raw("rich", id=same)))
    assert effects(database) == ["refused poor"]
    assert dead(database) == ["bad_envelope"]


def test_two_bodies_under_one_id_in_one_batch_are_both_heard(database: Database) -> None:
    till, same = Till(), ids.new("evt")
    assert hear(till.batches(database), delivered(raw("one", id=same), raw("two", id=same))) == 1
    assert effects(database) == ["one", "two"]


def test_what_comes_for_the_second_time_is_heard_together_and_for_the_third_alone(
    database: Database,
) -> None:
    till = Till()
    batches, twice = till.batches(database), [raw("a"), raw("b")]
    assert hear(batches, delivered(*twice, redelivered=True)) == 0
    assert hear(batches, delivered(*twice, redelivered=True) + delivered(raw("c"))) == 2
    assert till.sizes == [2, 1, 1, 1]
    assert sorted(effects(database)) == ["a", "b", "c"]
    assert [row.times for row in rows(database, Redelivery)] == [2, 2]


def test_order_says_nothing(database: Database) -> None:
    till = Till()
    inbox = till.batches(database).inbox
    for n in ("3", "1", "1"):
        inbox.receive(raw(f"r{ids.new('evt')}", sequence=n), published_by="usage")
    assert len(effects(database)) == 3
    assert dead(database) == []


# ---- with one
# -------------------------------------------------------------------------------------------------------


class Feed:
    """A broker where billing hears usage in batches."""

    def __init__(self, server: RabbitMQ) -> None:
        self.server = server
        self.urls = server.create_service_users("billing", "org", "usage")
        broker.declare(server.url(), "billing", ["usage"], [], [usage.Recorded.TYPE])
        server.settle()

    def depth(self) -> int:
        with broker.connect(self.server.url(), "test") as connection:
            return int(connection.channel().queue_declare(QUEUE, passive=True).message_count)

    @contextmanager
    def draining(self, *many: Batches) -> Iterator[None]:
        stop = threading.Event()
        drains = [
            broker.RabbitBatchConsumer(self.urls["billing"], "billing", batches) for batches in many
        ]
        threads = [
            threading.Thread(target=drain.run, args=(stop,), daemon=True) for drain in drains
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
def made_feed(rabbitmq: RabbitMQ) -> Feed:
    return Feed(rabbitmq)


@pytest.fixture
def feed(made_feed: Feed) -> Feed:
    with broker.connect(made_feed.server.url(), "test") as connection:
        connection.channel().queue_purge(QUEUE)
        connection.channel().queue_purge("billing.dead")
    return made_feed


def publish(feed: Feed, *bodies: bytes) -> None:
    metering.publish(feed.urls["usage"], bodies)


def test_a_flood_is_heard_in_batches_of_at_most_500(
    postgres_database: Database, feed: Feed
) -> None:
    publish(feed, *(raw(f"r{n}") for n in range(3000)))
    till = Till()
    with feed.draining(till.batches(postgres_database)):
        until(lambda: sum(till.sizes) >= 3000)
    assert max(till.sizes) == 500
    assert len(till.sizes) < 30
    assert sorted(effects(postgres_database)) == sorted(f"r{n}" for n in range(3000))
    assert feed.depth() == 0


def test_a_batch_of_large_messages_is_smaller(
    monkeypatch: pytest.MonkeyPatch, postgres_database: Database, feed: Feed
) -> None:
    monkeypatch.setattr(broker, "BATCH_BYTES", 20 * len(raw("r100")))
    publish(feed, *(raw(f"r{n}") for n in range(100, 300)))
    till = Till()
    with feed.draining(till.batches(postgres_database)):
        until(lambda: sum(till.sizes) >= 200)
    assert max(till.sizes) == 20
    assert feed.depth() == 0


def test_a_trickle_waits_for_nobody(postgres_database: Database, feed: Feed) -> None:
    till, heard = Till(), threading.Event()
    apply = till.apply

    def noted(*arguments: Any) -> list[int]:
        heard.set()
        return apply(*arguments)

    till.apply = noted  # type: ignore[method-assign]
    with (
        feed.draining(till.batches(postgres_database)),
        broker.connect(feed.urls["usage"], "test") as connection,
    ):
        publish(feed, raw("first"))
        assert heard.wait(60)
        channel = connection.channel()
        for n in range(20):
            heard.clear()
            body = metering.amqp.Message(raw(f"r{n}"), user_id="usage", delivery_mode=2)
            channel.basic_publish_confirm(body, "usage", usage.Recorded.TYPE, confirm_timeout=10)
            assert heard.wait(60)
    assert len(till.sizes) == 21


def test_two_drains_share_the_work(postgres_database: Database, feed: Feed) -> None:
    one, other = Till(), Till()
    with feed.draining(one.batches(postgres_database), other.batches(postgres_database)):
        publish(feed, *(raw(f"r{n}") for n in range(4000)))
        until(lambda: sum(one.sizes) + sum(other.sizes) >= 4000)
    assert one.sizes
    assert other.sizes
    assert sorted(effects(postgres_database)) == sorted(f"r{n}" for n in range(4000))


def test_nobody_but_usage_speaks_for_usage(postgres_database: Database, feed: Feed) -> None:
    with pytest.raises(metering.amqp.AccessRefused):
        metering.publish(feed.urls["org"], [raw("a")], user="org")
    with pytest.raises(metering.amqp.PreconditionFailed):
        metering.publish(feed.urls["usage"], [raw("a")], user="org")
    for queue in (QUEUE, "billing.inbox"):
        with (
            broker.connect(feed.urls["usage"], "test") as connection,
            pytest.raises(metering.amqp.AccessRefused),
        ):
            connection.channel().basic_get(queue)
    till = Till()
    metering.publish(feed.urls["usage"], [raw("b")], user=None)
    with feed.draining(till.batches(postgres_database)):
        until(lambda: rows(postgres_database, DeadLetter))
    assert dead(postgres_database) == ["forged"]
    assert effects(postgres_database) == []


def test_a_broker_that_restarts_loses_nothing_and_doubles_nothing(
    postgres_database: Database, feed: Feed
) -> None:
    till = Till()
    with feed.draining(till.batches(postgres_database)):
        publish(feed, *(raw(f"r{n}") for n in range(1500)))
        feed.server.kill()
        feed.server.restart()
        publish(feed, *(raw(f"s{n}") for n in range(500)))
        until(lambda: len(effects(postgres_database)) == 2000, 120)
    assert len(set(effects(postgres_database))) == 2000
    assert dead(postgres_database) == []


CHILD = """
import sys, threading
from chassis.messaging import broker
from chassis.db.database import Database
from chassis.runtime import clock
from tests.chassis.test_batches import Till
import os
till = Till()
apply = till.apply
def fatal(session, records, now):
    if 'killer' in records: os.kill(os.getpid(), 9)
    return apply(session, records, now)
till.apply = fatal
broker.RabbitBatchConsumer(sys.argv[1], "billing", till.batches(Database(sys.argv[2]))).run(threading.Event())
"""


def child(feed: Feed, database: Database, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, feed.urls["billing"], database.url],
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("point", ["batch.before_commit", "batch.before_ack"])
def test_killed_under_a_batch_each_has_one_effect(
    postgres_database: Database, feed: Feed, point: str
) -> None:
    publish(feed, *(raw(f"r{n}") for n in range(700)))
    assert child(feed, postgres_database, CLIENTELE_FAILPOINT=point).wait(30) == -signal.SIGKILL
    assert len(effects(postgres_database)) in (
        (0,) if point == "batch.before_commit" else range(1, 501)
    )
    till = Till()
    with feed.draining(till.batches(postgres_database)):
        until(lambda: len(effects(postgres_database)) == 700)
        until(lambda: feed.depth() == 0)
    assert len(set(effects(postgres_database))) == 700
    assert dead(postgres_database) == []


def test_a_record_that_kills_its_process_is_laid_aside_and_no_innocent_with_it(
    postgres_database: Database, feed: Feed
) -> None:
    publish(
        feed, *(raw(f"r{n}") for n in range(30)), raw("killer"), *(raw(f"s{n}") for n in range(30))
    )
    deaths = 0
    while len(effects(postgres_database)) < 60:
        process = child(feed, postgres_database)
        until(lambda p=process: p.poll() is not None or len(effects(postgres_database)) == 60)  # type: ignore[misc]
        deaths += process.poll() is not None
        process.kill()
        process.wait()
    assert deaths == 6
    assert dead(postgres_database) == ["crashes"]
    assert max(row.times for row in rows(postgres_database, Redelivery)) == 6
    assert sorted(row.times for row in rows(postgres_database, Redelivery))[-2] <= 3
