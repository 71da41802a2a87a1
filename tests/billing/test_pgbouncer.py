"""A service behind PgBouncer in transaction mode, with fewer connections than clients."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from billing.app import SERVICE
from billing.listeners import LISTENERS
from chassis.db import migrations
from chassis.db.database import Database
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import OutgoingMessage, PublishResult, Relay
from chassis.runtime import ids, notifications
from contracts.org import OpenAccount
from devtools.servers import PgBouncer, Postgres, ServiceDatabase
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.billing.conftest import World
from tests.chassis import messages
from tests.waiting import until

CHARGES, THREADS = 96, 8

pytestmark = pytest.mark.exhaustive


class RecordingBus:
    """A bus that stores what it is given."""

    def __init__(self) -> None:
        self.types: list[str] = []

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        self.types += [message.type for message in messages]
        return PublishResult(frozenset(message.id for message in messages), {})


@pytest.fixture(scope="module")
def migrated(postgres: Postgres) -> Iterator[ServiceDatabase]:
    """Billing's database, migrated through a pool of its owner."""
    made = postgres.fresh_database("billing")
    with PgBouncer(made.owner_url, {"default_pool_size": "2"}) as pool:
        migrations.upgrade(SERVICE.migrations, f"{pool.url}?prepared_statements=off")
    yield made
    postgres.drop(made)


@pytest.fixture(scope="module")
def pooled(migrated: ServiceDatabase) -> Iterator[str]:
    """The URL of billing's database through a pool of three connections."""
    with PgBouncer(migrated.app_url, {"default_pool_size": "3"}) as pool:
        yield f"{pool.url}?prepared_statements=off"


@pytest.fixture(scope="module")
def database(pooled: str) -> Iterator[Database]:
    made = Database(pooled, pool_size=2 * THREADS)
    yield made
    made.close()


def opening(world: World, organization_id: str) -> bytes:
    """The message by which org opens a customer's account."""
    message = OpenAccount(
        organization_id=organization_id,
        provider_id=world.provider_id,
        name="Acme",
        country="SG",
        currency="SGD",
        timezone="Asia/Singapore",
        payment_mode="prepaid",
        billing={"email": "bills@acme.example"},
        buyer_tags={},
    )
    return messages.raw(organization_id, source="/org", type=message.TYPE, data=message.dump())


def test_a_service_does_its_work(world: World) -> None:
    """Opening, charges in several threads, replays, and all their messages."""
    bus, stop = RecordingBus(), threading.Event()
    relay = Relay(world.database, bus)
    relaying = threading.Thread(target=relay.run, args=(stop,), daemon=True)
    relaying.start()
    customers = [ids.new("org") for _ in range(4)]
    inbox = Inbox(world.database, LISTENERS)

    def charge(number: int) -> tuple[str, str | None]:
        body = {"amount": "1", "kind": "usage", "description": "Calls"}
        response = world.post(customers[number % 4], "charges", body, key=f"key-{number}")
        assert response.status_code == 201, response.json
        return response.json["id"], response.headers.get("Idempotent-Replayed")

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(
            lambda each: inbox.receive(opening(world, each), published_by="org"), customers
        ):
            pass
        for customer in customers:
            world.top_up(customer, "100")
        charged = list(threads.map(charge, range(CHARGES)))
        again = list(threads.map(charge, range(CHARGES)))
    world.run_jobs()
    until(lambda: bus.types.count("billing.balance_changed.v1") >= len(customers))
    stop.set()
    relaying.join()

    assert inbox.dead_letters() == []
    assert {replayed for _, replayed in charged} == {None}
    assert again == [(charge_id, "true") for charge_id, _ in charged]
    assert bus.types.count("billing.account_opened.v1") == len(customers)
    for customer in customers:
        assert world.account(customer)["balance"] == "76.00"


def test_the_limits_of_the_login_apply_and_none_outlives_its_transaction(world: World) -> None:
    with world.database.reading(snapshot=True) as session:
        assert session.scalar(text("SHOW statement_timeout")) == "0"

    with world.database.reading() as session:
        shown = [
            session.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "lock_timeout", "transaction_isolation")
        ]
    assert shown == ["5s", "2s", "read committed"]


def test_the_relay_says_once_that_it_has_to_poll(world: World) -> None:
    relay, stop = Relay(world.database, RecordingBus()), threading.Event()

    with capture_logs() as captured:
        notifications.listen(world.database.url, {}, relay, stop)

    assert [line["event"] for line in captured] == ["notifications.pooled"]
    assert "DATABASE_DIRECT_URL" in captured[0]["detail"]


def test_the_relay_is_notified_past_the_pool(
    pooled: str, migrated: ServiceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, woken = threading.Event(), threading.Event()
    database = notifications.database(pooled, 1)
    relay = Relay(database, RecordingBus())
    monkeypatch.setattr(relay, "wake", woken.set)
    listening = threading.Thread(
        target=notifications.listen,
        args=(migrated.app_url, {notifications.PUBLISHED: relay.wake}, relay, stop),
        daemon=True,
    )
    listening.start()

    def notified() -> bool:
        database.on_publish[0]()
        return woken.is_set()

    until(notified)
    stop.set()
    listening.join()
    database.close()
