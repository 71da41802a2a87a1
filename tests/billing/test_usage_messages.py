"""Usage as messages with a real broker and PostgreSQL: each record and each refusal counts once."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from billing import actions
from billing.app import SERVICE
from billing.listeners import BATCHES, LISTENERS
from billing.models import Entry
from billing.values import UNIT
from chassis.db.database import Database
from chassis.messaging import broker, consumers
from chassis.messaging.batches import Batch, Batches
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import DeadLetter, InboxRow, WaitingMessage
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import clock, commands, ids
from contracts import usage
from devtools.servers import RabbitMQ
from sqlalchemy import select

from tests import metering
from tests.billing.conftest import World
from tests.waiting import until

REFUSED = "billing.usage_refused.v1"


@pytest.fixture(scope="module")
def urls(rabbitmq: RabbitMQ) -> dict[str, str]:
    made = rabbitmq.create_service_users("billing", "usage")
    commands.declare_topology(SERVICE, rabbitmq.url())
    rabbitmq.settle()
    return made


@pytest.fixture
def database(postgres_database: Database, urls: dict[str, str], rabbitmq: RabbitMQ) -> Database:
    with broker.connect(rabbitmq.url(), "test") as connection:
        connection.channel().queue_purge("billing.batches.usage")
    return postgres_database


def posted(world: World) -> Counter[str]:
    """How often each record of the provider is in the journal."""
    with world.database.reading() as session:
        return Counter(
            session.scalars(
                select(Entry.source).where(
                    Entry.provider_id == world.provider_id, Entry.source.is_not(None)
                )
            )
        )


def refusals(world: World) -> list[dict[str, Any]]:
    with world.database.reading() as session:
        bodies = session.scalars(select(OutboxRow.body).where(OutboxRow.type == REFUSED))
        published = [json.loads(body)["data"] for body in bodies]
    return [data for data in published if data["provider_id"] == world.provider_id]


def column_values(world: World, column: Any) -> list[Any]:
    with world.database.reading() as session:
        return list(session.scalars(select(column)))


@contextmanager
def consuming(url: str, *many: Batches) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=consumers.RabbitBatchConsumer(url, "billing", batches).run, args=(stop,)
        )
        for batches in many
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


def consumer_of(world: World, poison: str = "no such record") -> Batches:
    """Billing's consumer; a record whose id begins with ``poison`` makes its batch fail."""
    real = BATCHES[usage.Recorded]

    def apply(session: Any, records: Sequence[Any], now: Any) -> Sequence[int]:
        response = real.apply(session, records, now)
        if any(record.id.startswith(poison) for record in records):
            raise RuntimeError("a bug")
        return response

    batch = Batch(read=real.read, apply=apply)
    return Batches(
        Inbox(world.database, {**LISTENERS, usage.Recorded: batch.apply_one}), usage.Recorded, batch
    )


def test_two_thousand_records_of_every_kind_in_any_order(
    world: World, urls: dict[str, str], rabbitmq: RabbitMQ
) -> None:
    rich, poor, broke, frozen, unknown = (*(world.open() for _ in range(4)), ids.new("org"))
    for org in (rich, poor, frozen):
        world.top_up(org, "100")
    with world.database.transaction() as session:
        actions.freeze_account(session, organization_id=frozen, now=clock.now())

    def record_of(org: str, id_: str, amount: str = "0.01", **more: Any) -> bytes:
        return metering.message(
            metering.record(world.provider_id, org, f"{id_}-{rich}", amount, **more)
        )

    good = [record_of(rich, f"good{n}", cost="0.001") for n in range(1000)]
    again = [record_of(rich, f"good{n}", cost="0.001") for n in range(150)] + good[150:200]
    tight = [record_of(poor, f"tight{n}", "1") for n in range(300)]
    always = [record_of(broke, f"always{n}", "0.5", admission="always") for n in range(20)]
    cold = [record_of(frozen, f"cold{n}") for n in range(50)]
    nowhere = [record_of(unknown, f"nowhere{n}") for n in range(50)]
    twins = [record_of(rich, f"twin{n}", amount) for n in range(20) for amount in ("0.01", "0.02")]
    poison = [record_of(rich, f"poison{n}") for n in range(4)]
    invalid = [record_of(rich, f"bad{n}", "-1") for n in range(50)] + [
        record_of(rich, f"late{n}", at="soon") for n in range(50)
    ]
    invalid += [record_of(rich, f"odd{n}", admission="maybe") for n in range(50)]
    invalid += [metering.message(metering.record("nobody", rich, f"nobody{n}")) for n in range(50)]
    forged = [
        metering.message(
            metering.record(world.provider_id, rich, f"forged{n}-{rich}"), source="/billing"
        )
        for n in range(20)
    ]
    garbage = [f"{{{n}".encode() for n in range(20)]
    unsigned = [record_of(rich, f"unsigned{n}") for n in range(20)]
    many = (
        good + again + tight + always + cold + nowhere + twins + poison + invalid + forged + garbage
    )
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    random.Random(seed).shuffle(many)
    dead_before, waiting_before = (
        Counter(column_values(world, DeadLetter.reason)),
        column_values(world, WaitingMessage.id),
    )

    def seen() -> tuple[int, ...]:
        dead, waiting = (
            column_values(world, DeadLetter.reason),
            column_values(world, WaitingMessage.id),
        )
        return (
            sum(posted(world).values()),
            len(refusals(world)),
            len(dead) - dead_before.total(),
            len(waiting) - len(waiting_before),
        )

    metering.publish(urls["usage"], many[: len(many) // 2])
    with consuming(urls["billing"], consumer_of(world, "poison"), consumer_of(world, "poison")):
        metering.publish(urls["usage"], unsigned, user=None)
        metering.publish(urls["usage"], many[len(many) // 2 :])
        until(lambda: seen() == (1140, 320, 260, 4), state=seen, every=0.1)

    with broker.connect(rabbitmq.url(), "test") as connection:
        queue = connection.channel().queue_declare("billing.batches.usage", passive=True)
    assert queue.message_count == 0
    assert seen() == (1140, 320, 260, 4)
    counts = posted(world)
    assert set(counts.values()) == {1}
    assert Counter(
        id_.rstrip("0123456789") for id_ in (name.partition("-")[0] for name in counts)
    ) == {
        "good": 1000,
        "tight": 100,
        "always": 20,
        "twin": 20,
    }
    published = refusals(world)
    assert Counter((data["organization_id"], data["code"]) for data in published) == {
        (poor, "insufficient_credits"): 200,
        (frozen, "account_frozen"): 50,
        (unknown, "organization_not_found"): 50,
        (rich, "record_id_reused"): 20,
    }
    assert len({(data["record_id"], data["amount"]) for data in published}) == 320
    assert (
        not {data["record_id"] for data in published if data["code"] != "record_id_reused"}
        & counts.keys()
    )
    assert Counter(column_values(world, DeadLetter.reason)) - dead_before == {
        "invalid": 200,
        "forged": 40,
        "undecodable": 20,
    }
    with world.database.reading() as session:
        spent = sum(
            session.scalars(
                select(Entry.amount).where(
                    Entry.organization_id == rich, Entry.part == 0, Entry.source.is_not(None)
                )
            )
        )
    twins_cost = spent - 10 * UNIT
    assert 20 * UNIT // 100 <= twins_cost <= 40 * UNIT // 100
    assert world.account(rich)["balance"] == f"{(100 * UNIT - spent) / UNIT:.2f}"
    assert world.account(poor)["balance"] == "0.00"
    assert world.account(broke)["balance"] == "-10.00"
    assert world.account(frozen)["balance"] == "100.00"


def test_accepted_usage_needs_no_inbox_row(world: World, urls: dict[str, str]) -> None:
    org = world.open()
    world.top_up(org, "1")
    before = set(column_values(world, InboxRow.id))
    metering.publish(
        urls["usage"],
        [
            metering.message(metering.record(world.provider_id, org, f"r{n}-{org}"))
            for n in range(120)
        ],
    )
    with consuming(urls["billing"], consumer_of(world)):
        until(lambda: len(refusals(world)) == 20, every=0.1)
    assert sum(posted(world).values()) == 100
    assert len(set(column_values(world, InboxRow.id)) - before) == 20


def listen(urls: dict[str, str], database: Database, **more: str) -> subprocess.Popen[bytes]:
    """Billing's own listen role."""
    settings = {
        "DATABASE_URL": database.url,
        "BROKER_URL": urls["billing"],
        "MEMBERSHIP_URL": "-",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "billing", "listen"],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_killed_between_commit_and_ack_nothing_is_charged_or_published_twice(
    world: World, urls: dict[str, str]
) -> None:
    org = world.open()
    world.top_up(org, "2")
    metering.publish(
        urls["usage"],
        [
            metering.message(metering.record(world.provider_id, org, f"r{n}-{org}"))
            for n in range(250)
        ],
    )
    assert (
        listen(urls, world.database, CLIENTELE_FAILPOINT="batch.before_ack").wait(120)
        == -signal.SIGKILL
    )
    assert sum(posted(world).values()) + len(refusals(world)) == 250
    world.top_up(org, "10")  # a refusal stays one, though it would be covered now

    role = listen(urls, world.database)
    try:
        metering.publish(
            urls["usage"],
            [metering.message(metering.record(world.provider_id, org, f"last-{org}"))],
        )
        until(lambda: posted(world)[f"last-{org}"] and _is_empty(urls), every=0.1)
    finally:
        role.terminate()
        assert role.wait(120) == 0
    assert set(posted(world).values()) == {1}
    assert len(posted(world)) == 201
    assert len(refusals(world)) == 50


def _is_empty(urls: dict[str, str]) -> bool:
    with broker.connect(urls["billing"], "test") as connection:
        return (
            not connection.channel()
            .queue_declare("billing.batches.usage", passive=True)
            .message_count
        )
