"""The roles of a service: each runs in a process of its own and stops cleanly on SIGTERM.

What only one of them needs (gunicorn, urllib3, kombu) is imported there: each takes long."""

import signal
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chassis.db.database import Database
from chassis.http.client import Transport
from chassis.messaging.batches import Batches
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import health, log, notifications, tick
from chassis.runtime.readiness import Check, Readiness, kept
from chassis.runtime.service import Service
from chassis.runtime.settings import load

if TYPE_CHECKING:
    from chassis.messaging.consumers import RabbitConsumer

_CONNECTIONS = 6
# For how long it counts that the broker could be reached: a new connection costs both sides.
_BROKER_SECONDS = 60.0


def web(service: Service) -> None:
    """Serve the service's API."""
    from chassis.runtime import web_server

    settings = settings_of(service, "web")
    import_module(service.web)  # before there are workers, which share what is loaded

    def build() -> Any:
        # One more than threads that serve requests: the readiness of a busy process is checked too.
        database = notifications.database(settings.database_url, settings.web_threads + 1)
        return service.create_app(settings, database, transports(service, settings))

    web_server.serve(build, settings)


def listen(service: Service) -> None:
    """Consume messages from the broker."""
    from chassis.messaging import consumers

    settings, database, stop = _start(service, "listen")
    inbox = Inbox(database, service.listeners)
    consumer = consumers.RabbitConsumer(settings.broker_url, service.name, inbox)
    batch_consumers = [
        consumers.RabbitBatchConsumer(
            settings.broker_url, service.name, Batches(inbox, kind, batch)
        )
        for kind, batch in service.batches.items()
    ]
    checks = dict(service.checks(database))
    for each in (consumer, *batch_consumers):
        checks.update(each.checks)
    serve_health(settings, checks)
    threads = [
        threading.Thread(target=_run_to_the_end, args=(each, stop), daemon=True)
        for each in batch_consumers
    ]
    for thread in threads:
        thread.start()
    consumer.run(stop)
    for thread in threads:
        thread.join()
    database.close()


def relay(service: Service) -> None:
    """Send the outbox to the broker."""
    from chassis.messaging import publisher

    settings, database, stop = _start(service, "relay")
    bus = publisher.RabbitBus(settings.broker_url, service.name)
    running = Relay(database, bus)
    broker = {"broker": kept(bus.check, _BROKER_SECONDS)}
    serve_health(settings, {**service.checks(database), **broker, **running.checks})
    _start_listening(settings, {notifications.PUBLISHED: running.wake}, running, stop)
    running.run(stop)
    bus.close()
    database.close()


def run_jobs(service: Service) -> None:
    """Run the jobs that are due by the clock."""
    settings, database, stop = _start(service, "tick")
    if any(job.calls_services for job in service.jobs):
        service = service.with_transports(transports(service, settings))
    running = tick.Tick(service, database, settings)
    serve_health(settings, {**service.checks(database), **running.checks})
    # What a job of another process publishes may give the jobs of this one something to do.
    channels = {
        notifications.CHANGED: running.wake,
        notifications.PUBLISHED: running.look_again,
    }
    _start_listening(settings, channels, running, stop)
    running.run(stop)
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


def _start_listening(
    settings: Any,
    channels: notifications.Channels,
    sleeper: notifications.Sleeper,
    stop: threading.Event,
) -> None:
    url = settings.database_direct_url or settings.database_url
    threading.Thread(
        target=notifications.listen, args=(url, channels, sleeper, stop), daemon=True
    ).start()


def _run_to_the_end(consumer: "RabbitConsumer", stop: threading.Event) -> None:
    """If this consumer ever ends, the whole process stops, to be restarted."""
    try:
        consumer.run(stop)
    finally:
        stop.set()


def serve_health(settings: Any, ready: Mapping[str, Check]) -> None:
    """Let others learn whether a role works that serves nothing else: by HTTP if it has a port for
    that, and by a file if it has one."""
    readiness = Readiness(ready)
    if settings.health_port:
        health.serve(readiness, settings.host, settings.health_port)
    health.note(readiness, settings.readiness_file)
