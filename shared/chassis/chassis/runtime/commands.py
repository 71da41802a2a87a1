"""Commands of a service for deployments and operators."""

import sys
from typing import Any

from contracts.message import every_message

from chassis import audit
from chassis.db.database import Database
from chassis.messaging.inbox import Inbox
from chassis.runtime import notifications
from chassis.runtime.service import Service
from chassis.runtime.settings import load, read_secret

_CONNECTIONS = 2


def migrate(service: Service) -> None:
    """Bring the database up to date, as its owner."""
    from chassis.db import migrations  # Alembic takes long to import; only this command uses it

    migrations.upgrade(service.migrations, read_secret("DATABASE_URL"))


def topology(service: Service) -> None:
    """Declare the service's part of the broker, as its administrator."""
    from chassis.messaging import policies

    settings = load(policies.BrokerSettings)
    policies.keep_all_messages(service.name, settings)
    declare_topology(service, settings.broker_admin_url, size=settings.inbox_queues)


def declare_topology(service: Service, url: str, *, size: int = 8) -> None:
    """Declare exchange, queues and bindings of the service. ``url``: the broker, as its
    administrator; ``size``: the number of queues of its inbox. Raises Misconfigured."""
    from chassis.messaging import topology

    producers = {kind.producer() for kind in every_message()}
    topology.declare(
        url,
        service.name,
        sorted(producers),
        [kind.TYPE for kind in service.listeners if kind not in service.batches],
        [kind.TYPE for kind in service.batches],
        size=size,
    )


def subscribe(service: Service) -> None:
    """Declare a queue for the named program outside, bound to the given types of messages."""
    from chassis.messaging import policies, subscribers

    if len(sys.argv) < 4:
        sys.exit(f"usage: python -m {service.name} subscribe NAME TYPE...")
    settings = load(policies.BrokerSettings)
    queue = subscribers.declare(settings.broker_admin_url, sys.argv[2], sys.argv[3:])
    print(f"{queue} receives {', '.join(sys.argv[3:])}")  # noqa: T201 - the output of the command


def list_dead_letters(service: Service) -> None:
    """Print the dead letters that were not redriven, a line each."""
    for line in Inbox(_database(service), service.listeners).dead_letters():
        print(line)  # noqa: T201 - the output of the command


def redrive(service: Service) -> None:
    """Process the dead letter with the given id again, or all that may be ours."""
    dead_letter_id = sys.argv[2] if len(sys.argv) > 2 else None
    inbox = Inbox(_database(service), service.listeners)
    count = inbox.redrive(dead_letter_id=dead_letter_id)
    remaining = len(inbox.dead_letters())
    print(f"{count} processed again, {remaining} in the list")  # noqa: T201 - the output of the command


def verify_audit(service: Service) -> None:
    """Verify the audit chains of the given organizations, or all. Exits with 1 if one is broken."""
    database = _database(service)
    with database.reading(snapshot=True) as session:
        chains = sys.argv[2:] or audit.chains(session)
    count = 0
    for organization_id in chains:
        with database.reading(snapshot=True) as session:
            for problem in audit.verify(session, organization_id):
                count += 1
                print(f"{organization_id} {problem}")  # noqa: T201 - the output of the command
    print(f"{len(chains)} chains, {count} problems")  # noqa: T201 - the output of the command
    sys.exit(1 if count else 0)


def _database(service: Service) -> Database:
    settings: Any = load(service.settings, "command")
    return notifications.database(settings.database_url, _CONNECTIONS)
