"""The roles of a service: each runs in a process of its own and stops cleanly on SIGTERM.

What only one of them needs (gunicorn, urllib3, kombu) is imported there: each takes long."""

import signal
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from chassis.db.database import Database
from chassis.http.client import Transport
from chassis.messaging.batches import Batches
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import log, notifications, tick
from chassis.runtime.service import Service
from chassis.runtime.settings import load

_CONNECTIONS = 6
# A client of a health port that is silent for longer is cut off.
HEALTH_SECONDS = 5


def web(service: Service) -> None:
    """Serve the service's API."""
    from chassis.runtime.web_server import WebServer

    settings = settings_of(service, "web")
    import_module(service.web)  # before there are workers, which share what is loaded

    def build() -> Any:
        database = notifications.database(settings.database_url, settings.web_threads)
        return service.create_app(settings, database, transports(service, settings))

    WebServer(
        build,
        f"{settings.host}:{settings.port}",
        settings.web_workers,
        settings.web_threads,
        certificate=settings.tls_certificate,
    ).run()


def listen(service: Service) -> None:
    """Consume messages from the broker."""
    from chassis.messaging import consumers

    settings, database, stop = _start(service, "listen")
    inbox = Inbox(database, service.listeners)
    consumer = consumers.RabbitConsumer(
        settings.broker_url, service.name, inbox.receive, database.check
    )
    batch_consumers = [
        threading.Thread(
            target=_consume_batches,
            args=(service, Batches(inbox, kind, batch), settings, stop),
            daemon=True,
        )
        for kind, batch in service.batches.items()
    ]
    serve_health(service, settings, {"database": database.check, "broker": consumer.check})
    for thread in batch_consumers:
        thread.start()
    consumer.run(stop)
    for thread in batch_consumers:
        thread.join()
    database.close()


def relay(service: Service) -> None:
    """Send the outbox to the broker."""
    from chassis.messaging import publisher

    settings, database, stop = _start(service, "relay")
    bus = publisher.RabbitBus(settings.broker_url, service.name)
    running = Relay(database, bus)
    serve_health(service, settings, {"database": database.check, "broker": bus.check})
    notified_by = settings.database_direct_url or settings.database_url
    threading.Thread(
        target=notifications.listen, args=(notified_by, running, stop), daemon=True
    ).start()
    running.run(stop)
    bus.close()
    database.close()


def run_jobs(service: Service) -> None:
    """Run the jobs that are due by the clock."""
    settings, database, stop = _start(service, "tick")
    serve_health(service, settings, {"database": database.check})
    if any(job.calls_services for job in service.jobs):
        service = service.with_transports(transports(service, settings))
    tick.run(service, database, settings, stop)
    database.close()


def transports(service: Service, settings: Any) -> dict[str, Transport]:
    """How to reach each upstream over the network."""
    from chassis.http.transport import HttpTransport

    return {
        name: HttpTransport(getattr(settings, field), authorities=settings.tls_authorities)
        for name, field in service.upstreams.items()
    }


def settings_of(service: Service, role: str) -> Any:
    """The settings of the service in this role; from here on its logs have the level that they
    name. Raises Misconfigured."""
    settings: Any = load(service.settings, role)
    log.start(settings.log_level, service=service.name, role=role)
    return settings


def _start(service: Service, role: str) -> tuple[Any, Database, threading.Event]:
    settings = settings_of(service, role)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return settings, notifications.database(settings.database_url, _CONNECTIONS), stop


def _consume_batches(
    service: Service, batches: Batches, settings: Any, stop: threading.Event
) -> None:
    """If this consumer ever ends, the whole process stops, to be restarted."""
    from chassis.messaging import consumers

    try:
        consumers.RabbitBatchConsumer(settings.broker_url, service.name, batches).run(stop)
    finally:
        stop.set()


class _HealthServer(ThreadingMixIn, WSGIServer):
    """A thread for each connection, so that a silent client keeps no other waiting."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


class _Silent(WSGIRequestHandler):
    timeout = HEALTH_SECONDS

    def log_message(self, *_: Any) -> None:
        pass


def serve_health(service: Service, settings: Any, ready: Mapping[str, Callable[[], None]]) -> None:
    """Serve ``/healthz`` and ``/readyz`` of a role that serves nothing else, if it has a port."""
    if not settings.health_port:
        return
    from chassis.http import application

    app = application.build(service.name, title="health", access=None, blueprints=(), ready=ready)
    server = make_server(
        settings.host, settings.health_port, app, server_class=_HealthServer, handler_class=_Silent
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
