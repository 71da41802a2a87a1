"""The environment of the messaging benchmark: its own PostgreSQL and RabbitMQ, the databases of
org and billing with many customers, and backlogs that the relay has published."""

import itertools
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from chassis.db.database import Database
from chassis.messaging import broker
from chassis.messaging.outbox import OutboxRow, publish
from chassis.messaging.publisher import RabbitBus
from chassis.messaging.relay import Relay
from chassis.runtime import clock, ids
from contracts import Message
from devtools.processes import System
from devtools.servers import Postgres, RabbitMQ
from devtools.servers.rabbitmq import VHOST
from org.models import Organization
from sqlalchemy import select

from tests.bench.ledger.environment import open_accounts

ORGANIZATIONS = 5000
_CHUNK = 2000


class Servers(NamedTuple):
    """``folder``: for logs and mail."""

    postgres: Postgres
    rabbitmq: RabbitMQ
    folder: Path

    def system(self, name: str) -> System:
        """New databases and all queues, without any role running."""
        system = System(
            self.postgres, self.rabbitmq, self.folder / name, settings={"LOG_LEVEL": "INFO"}
        )
        system.prepare()
        return system


class Environment:
    """``organizations``: ids of customers that org and billing know."""

    def __init__(self, servers: Servers) -> None:
        self.postgres, self.rabbitmq = servers.postgres, servers.rabbitmq
        self.system = servers.system("listeners")
        self.databases = {
            name: Database(self.system.database_url(name), pool_size=2)
            for name in ("org", "billing")
        }
        self.provider_id = ids.new("org")
        self.organizations = [ids.new("org") for _ in range(ORGANIZATIONS)]
        add_organizations(self.databases["org"], self.provider_id, self.organizations)
        open_accounts(
            self.databases["billing"],
            self.provider_id,
            self.organizations,
            "postpaid",
            clock.now(),
        )
        listed = self.rabbitmq.rabbitmqctl("list_queues", "-p", VHOST, "--silent", "name")
        self._queues = [name for name in listed.split() if "." in name]

    def publish(self, service: str, messages: Iterable[Message]) -> int:
        """Put the messages into the service's outbox and relay them, as the role ``relay`` does;
        returns how many."""
        database, total = self.databases[service], 0
        bus = RabbitBus(self.system.broker_url(service), service)
        relay, left = Relay(database, bus), iter(messages)
        while chunk := list(itertools.islice(left, _CHUNK)):
            with database.transaction() as session:
                for message in chunk:
                    publish(session, message)
            while relay.step(clock.now()):
                pass
            total += len(chunk)
        relay.leases.release(clock.now())
        bus.close()
        return total

    def bodies(self, service: str, count: int) -> list[bytes]:
        """The bodies of messages that are in the service's outbox."""
        rows = select(OutboxRow.body).order_by(OutboxRow.seq).limit(count)
        with self.databases[service].reading() as session:
            return list(session.scalars(rows))

    def clear(self) -> None:
        """Empty all queues, outboxes and inboxes, so that every measurement begins alike."""
        connection = broker.connect(self.rabbitmq.url(), "bench")
        channel = connection.channel()
        for queue in self._queues:
            channel.queue_purge(queue)
        connection.release()
        for name in self.databases:
            self.postgres.psql(
                f"\\connect {self.system.database_url(name).rpartition('/')[2]}\n"
                "TRUNCATE inbox, outbox, redeliveries, waiting_messages, dead_letters;\n"
                "VACUUM ANALYZE;"
            )


def add_organizations(database: Database, provider_id: str, organizations: list[str]) -> None:
    """Add active customers to org."""
    now = clock.now()
    with database.transaction() as session:
        for number, organization_id in enumerate(organizations):
            organization = Organization(
                id=organization_id,
                kind="customer",
                provider_id=provider_id,
                name=f"Harbour Clinic {number}",
                status="active",
                country="DE",
                currency="EUR",
                timezone="Europe/Berlin",
                pricing_model="app",
                payment_mode="prepaid",
                billing_email=f"bills@{number}.example",
                owner={"email": f"owner@{number}.example"},
                buyer_tags={},
                demo=False,
                managed_by="provider",
                created_at=now,
                updated_at=now,
            )
            organization.index_for_search()
            session.add(organization)


@contextmanager
def started() -> Iterator[Servers]:
    """Both servers; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="clientele-bench-"))
    try:
        with Postgres() as postgres, RabbitMQ() as rabbitmq:
            yield Servers(postgres, rabbitmq, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
