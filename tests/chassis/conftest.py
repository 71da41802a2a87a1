"""The chassis' own tables on both databases, and a broker with one consuming service whose queues
are empty for each test."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import amqp
import pytest
from chassis.db.database import Database
from chassis.messaging import broker as rabbit
from chassis.messaging import consumers, topology
from chassis.messaging.inbox import Inbox
from contracts import billing, membership
from contracts.message import every_message
from devtools.servers import RabbitMQ
from kombu.exceptions import OperationalError

from tests.chassis.messages import CHASSIS, note
from tests.databases import ENGINES, PreparedDatabases, migrated

# One queue, so that messages can be taken out in the order of their publishing.
INBOX = "org.inbox.1.0"
LISTENERS = {billing.AccountOpened: note, membership.MembersErased: note}


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedDatabases]:
    made = PreparedDatabases(tmp_path_factory.mktemp("prepared"))
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def database(
    request: pytest.FixtureRequest, prepared_databases: PreparedDatabases, tmp_path: Path
) -> Iterator[Database]:
    with migrated(
        CHASSIS,
        request.param,
        prepared_databases=prepared_databases,
        folder=tmp_path,
        postgres=lambda: request.getfixturevalue("postgres"),
        pool_size=25,
    ) as made:
        yield made


@pytest.fixture
def postgres_database(
    request: pytest.FixtureRequest, prepared_databases: PreparedDatabases, tmp_path: Path
) -> Iterator[Database]:
    with migrated(
        CHASSIS,
        "postgresql",
        prepared_databases=prepared_databases,
        folder=tmp_path,
        postgres=lambda: request.getfixturevalue("postgres"),
        pool_size=25,
    ) as made:
        yield made


class Broker:
    """A RabbitMQ on which ``org`` consumes from billing and membership."""

    def __init__(self, server: RabbitMQ) -> None:
        self.server = server
        self.urls = server.create_service_users("org", "billing", "membership")
        self.declare()

    def declare(self) -> None:
        producers = sorted({kind.producer() for kind in every_message()})
        types = [kind.TYPE for kind in LISTENERS]
        topology.declare(self.server.url(), "org", producers, types, size=1)

    @contextmanager
    def channel(self, user: str | None = None) -> Iterator[Any]:
        """A raw channel as the administrator, or as a service."""
        with rabbit.connect(self.urls[user] if user else self.server.url(), "test") as connection:
            yield connection.channel()

    def depth(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).message_count

    def take(self, count: int, *, queue: str = INBOX, reject: bool = False) -> list[bytes]:
        """Take this many messages out of a queue, acknowledging or rejecting them."""
        taken: list[bytes] = []

        def take(message: Any) -> None:
            taken.append(bytes(message.body))
            if reject:
                message.channel.basic_reject(message.delivery_tag, requeue=False)
            else:
                message.channel.basic_ack(message.delivery_tag)

        with rabbit.connect(self.server.url(), "test") as connection:
            channel = connection.channel()
            channel.auto_decode = False
            channel.basic_consume(queue, callback=take)
            deadline = time.monotonic() + 60
            while len(taken) < count:
                assert time.monotonic() < deadline, f"only {len(taken)} of {count} came"
                with suppress(TimeoutError):
                    connection.drain_events(timeout=1)
        return taken

    def publish(
        self,
        bodies: Sequence[bytes],
        *,
        user: str = "billing",
        key: str = billing.AccountOpened.TYPE,
        **other: Any,
    ) -> None:
        """Publish as a service does, in this order, and wait for each confirm."""
        with self.channel(user) as channel:
            for body in bodies:
                message = amqp.Message(body, **{"user_id": user, "delivery_mode": 2, **other})
                channel.basic_publish_confirm(
                    message, exchange=user, routing_key=key, confirm_timeout=60
                )

    @contextmanager
    def listening(self, inbox: Inbox) -> Iterator[None]:
        """Run the service's consumer meanwhile."""
        stop = threading.Event()
        consumer = consumers.RabbitConsumer(self.urls["org"], "org", inbox)
        thread = threading.Thread(target=consumer.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(scope="package")
def made_broker(rabbitmq: RabbitMQ) -> Iterator[Broker]:
    broker = Broker(rabbitmq)
    yield broker
    # Whole systems declare another number of queues. The broker may have been stopped already.
    with suppress(OperationalError), broker.channel() as channel:
        channel.exchange_delete("org.inbox.1")
        channel.queue_delete(INBOX)


@pytest.fixture
def broker(made_broker: Broker) -> Broker:
    with made_broker.channel() as channel:
        channel.queue_purge(INBOX)
        channel.queue_purge("org.dead")
    return made_broker
