"""Runs one role of a service in this process and stops it cleanly on SIGTERM."""

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psycopg
from contracts.message import every_message
from flask import Flask

from chassis import audit
from chassis.db import migrations
from chassis.db.database import Database
from chassis.http import application
from chassis.http.client import HttpTransport, Transport
from chassis.messaging import broker
from chassis.messaging.batches import Batches
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import log, tick
from chassis.runtime.backoff import Backoff
from chassis.runtime.service import Service
from chassis.runtime.settings import Misconfigured, ServiceSettings, load, read
from chassis.runtime.web_server import WebServer

CHANNEL = "said"


def main(service: Service) -> None:
    """Run the role named on the command line, one of ``_ROLES``."""
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    run = _ROLES.get(role)
    if run is None:
        sys.exit(f"usage: python -m {service.name} {'|'.join(_ROLES)}")
    log.start(service=service.name, role=role)
    try:
        run(service)
    except Misconfigured as problem:
        sys.exit(f"{service.name} {role}: {problem}")


def transports(service: Service, settings: Any) -> dict[str, Transport]:
    """A way over the network to each neighbour."""
    return {
        name: HttpTransport(getattr(settings, field)) for name, field in service.upstreams.items()
    }


def _web(service: Service) -> None:
    settings: Any = load(service.settings)

    def build() -> Flask:
        database = _database(settings, settings.web_threads)
        return service.create_app(settings, database, transports(service, settings))

    WebServer(
        build, f"{settings.host}:{settings.port}", settings.web_workers, settings.web_threads
    ).run()


def _listen(service: Service) -> None:
    settings, database, stop = _begin(service)
    inbox = Inbox(database, service.listeners)
    consumer = broker.RabbitConsumer(
        settings.broker_url, service.name, inbox.receive, database.check
    )
    drains = [
        threading.Thread(
            target=_drain, args=(service, Batches(inbox, kind, batch), settings, stop), daemon=True
        )
        for kind, batch in service.batches.items()
    ]
    _serve_health(service, settings, {"database": database.check, "broker": consumer.check})
    for drain in drains:
        drain.start()
    consumer.run(stop)
    for drain in drains:
        drain.join()
    database.close()


def _drain(service: Service, batches: Batches, settings: Any, stop: threading.Event) -> None:
    """A queue of its own, beside the inbox. Should it ever end by itself, the process ends with
    it."""
    try:
        broker.RabbitBatchConsumer(settings.broker_url, service.name, batches).run(stop)
    finally:
        stop.set()


def _relay(service: Service) -> None:
    settings, database, stop = _begin(service)
    carrier = broker.RabbitBus(settings.broker_url, service.name)
    relay = Relay(database, carrier)
    _serve_health(service, settings, {"database": database.check, "broker": carrier.check})
    threading.Thread(
        target=_hear_notifications, args=(database.url, relay, stop), daemon=True
    ).start()
    relay.run(stop)
    carrier.close()
    database.close()


def _tick(service: Service) -> None:
    settings, database, stop = _begin(service)
    _serve_health(service, settings, {"database": database.check})
    tick.run(service, database, settings, stop)
    database.close()


def _migrate(service: Service) -> None:
    migrations.upgrade(service.migrations, read("DATABASE_URL"))


def declare_topology(service: Service, url: str) -> None:
    """The deploy step on the broker, as its administrator: exchange, queues and bindings of the
    service."""
    heard = [kind.TYPE for kind in service.listeners if kind not in service.batches]
    producers = {kind.producer() for kind in every_message()}
    broker.declare(
        url, service.name, sorted(producers), heard, [kind.TYPE for kind in service.batches]
    )


def _topology(service: Service) -> None:
    declare_topology(service, read("BROKER_ADMIN_URL"))


def _dead_letters(service: Service) -> None:
    settings: Any = load(service.settings)
    for line in Inbox(Database(settings.database_url), service.listeners).dead_letters():
        print(line)  # noqa: T201 - the command's answer


def _redrive(service: Service) -> None:
    database = _database(load(service.settings), 2)
    letter = sys.argv[2] if len(sys.argv) > 2 else None
    count = Inbox(database, service.listeners).redrive(letter=letter)
    print(f"{count} heard again")  # noqa: T201 - the command's answer


def _audit(service: Service) -> None:
    database, problems = _database(load(service.settings), 2), 0
    with database.reading(snapshot=True) as session:
        chains = sys.argv[2:] or audit.chains(session)
    for organization_id in chains:
        with database.reading(snapshot=True) as session:
            for problem in audit.verify(session, organization_id):
                problems += 1
                print(f"{organization_id} {problem}")  # noqa: T201 - the command's answer
    print(f"{len(chains)} chains, {problems} problems")  # noqa: T201 - the command's answer
    sys.exit(1 if problems else 0)


_ROLES: Mapping[str, Callable[[Service], None]] = {
    "web": _web,
    "listen": _listen,
    "relay": _relay,
    "tick": _tick,
    "migrate": _migrate,
    "topology": _topology,
    "dead-letters": _dead_letters,
    "redrive": _redrive,
    "audit": _audit,
}


def _begin(service: Service) -> tuple[Any, Database, threading.Event]:
    settings: Any = load(service.settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return settings, _database(settings, 6), stop


def _database(settings: ServiceSettings, pool_size: int) -> Database:
    database = Database(settings.database_url, pool_size=pool_size)
    if not database.is_sqlite:
        database.on_publish.append(lambda: _notify(database))
    return database


def _notify(database: Database) -> None:
    """Wake the relay, outside the transaction: a NOTIFY inside would line commits up behind one
    lock."""
    try:
        with database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
    except Exception:
        log.get("roles").warning("notify.failed", exc_info=True)


def _hear_notifications(url: str, relay: Relay, stop: threading.Event) -> None:
    backoff = Backoff(1.0, 10.0)
    while not stop.is_set():
        try:
            with psycopg.connect(
                url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=2
            ) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                backoff.reset()
                while not stop.is_set():
                    for _ in connection.notifies(timeout=1, stop_after=1):
                        relay.wake()
        except psycopg.Error:
            backoff.wait(stop)


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _serve_health(service: Service, settings: Any, ready: Mapping[str, Callable[[], None]]) -> None:
    if settings.health_port:
        app = application.build(
            service.name, title="health", access=None, blueprints=(), ready=ready
        )
        server = make_server(settings.host, settings.health_port, app, handler_class=_Silent)
        threading.Thread(target=server.serve_forever, daemon=True).start()
