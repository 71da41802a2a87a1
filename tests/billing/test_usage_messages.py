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
from typing import Any, NamedTuple

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


class Accounts(NamedTuple):
    """With credits, with too few, with none, frozen, and one that does not exist."""

    rich: str
    poor: str
    broke: str
    frozen: str
    unknown: str


def open_accounts(world: World) -> Accounts:
    rich, poor, broke, frozen = (world.open() for _ in range(4))
    for org in (rich, poor, frozen):
        world.top_up(org, "100")
    with world.database.transaction() as session:
        actions.freeze_account(session, organization_id=frozen, now=clock.now())
    return Accounts(rich, poor, broke, frozen, unknown=ids.new("org"))


def records_of_every_kind(world: World, accounts: Accounts) -> tuple[list[bytes], list[bytes]]:
    """About two thousand in any order, and some that are to be published without a user."""
    rich, poor, broke, frozen, unknown = accounts

    def some(count: int, org: str, name: str, amount: str = "0.01", **more: Any) -> list[bytes]:
        named = [f"{name}{n}-{rich}" for n in range(count)]
        return [
            metering.message(metering.record(world.provider_id, org, id_, amount, **more))
            for id_ in named
        ]

    good = some(1000, rich, "good", cost="0.001")
    repeated = some(150, rich, "good", cost="0.001") + good[150:200]
    tight = some(300, poor, "tight", "1") + some(20, broke, "always", "0.5", admission="always")
    refused = some(50, frozen, "cold") + some(50, unknown, "nowhere")
    twins = some(20, rich, "twin", "0.01") + some(20, rich, "twin", "0.02")
    poison = some(4, rich, "poison")
    invalid = some(50, rich, "bad", "-1") + some(50, rich, "late", at="soon")
    invalid += some(50, rich, "odd", admission="maybe")
    invalid += [metering.message(metering.record("nobody", rich, f"nobody{n}")) for n in range(50)]
    forged = [
        metering.message(
            metering.record(world.provider_id, rich, f"forged{n}-{rich}"), source="/billing"
        )
        for n in range(20)
    ]
    garbage = [f"{{{n}".encode() for n in range(20)]
    many = good + repeated + tight + refused + twins + poison + invalid + forged + garbage
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    random.Random(seed).shuffle(many)
    return many, some(20, rich, "unsigned")


def assert_posted_once(counts: Counter[str]) -> None:
    assert set(counts.values()) == {1}
    names = [name.partition("-")[0].rstrip("0123456789") for name in counts]
    assert Counter(names) == {"good": 1000, "tight": 100, "always": 20, "twin": 20}


def assert_refused(published: Sequence[dict[str, Any]], accounts: Accounts) -> None:
    assert Counter((data["organization_id"], data["code"]) for data in published) == {
        (accounts.poor, "insufficient_credits"): 200,
        (accounts.frozen, "account_frozen"): 50,
        (accounts.unknown, "organization_not_found"): 50,
        (accounts.rich, "record_id_reused"): 20,
    }
    assert len({(data["record_id"], data["amount"]) for data in published}) == 320


def assert_balances(world: World, accounts: Accounts) -> None:
    """Of each two records with one id, either may have come first."""
    charged = select(Entry.amount).where(
        Entry.organization_id == accounts.rich, Entry.part == 0, Entry.source.is_not(None)
    )
    with world.database.reading() as session:
        spent = sum(session.scalars(charged))
    twins_cost = spent - 10 * UNIT
    assert 20 * UNIT // 100 <= twins_cost <= 40 * UNIT // 100
    balances = [world.account(org)["balance"] for org in accounts[:4]]
    assert balances == [f"{(100 * UNIT - spent) / UNIT:.2f}", "0.00", "-10.00", "100.00"]


def test_two_thousand_records_of_every_kind_in_any_order(
    world: World, urls: dict[str, str], rabbitmq: RabbitMQ
) -> None:
    accounts = open_accounts(world)
    many, unsigned = records_of_every_kind(world, accounts)
    dead_before = Counter(column_values(world, DeadLetter.reason))
    waiting_before = len(column_values(world, WaitingMessage.id))

    def seen() -> tuple[int, ...]:
        """How many were posted, refused, dead-lettered, and wait for a retry."""
        return (
            sum(posted(world).values()),
            len(refusals(world)),
            len(column_values(world, DeadLetter.reason)) - dead_before.total(),
            len(column_values(world, WaitingMessage.id)) - waiting_before,
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
    counts, published = posted(world), refusals(world)
    assert_posted_once(counts)
    assert_refused(published, accounts)
    new = {data["record_id"] for data in published if data["code"] != "record_id_reused"}
    assert not new & counts.keys()
    assert Counter(column_values(world, DeadLetter.reason)) - dead_before == {
        "invalid": 200,
        "forged": 40,
        "undecodable": 20,
    }
    assert_balances(world, accounts)


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
