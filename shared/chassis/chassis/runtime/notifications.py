"""Waking the relay across processes, with LISTEN and NOTIFY of PostgreSQL."""

import threading
from typing import Any

import psycopg

from chassis.db import postgres
from chassis.db.database import Database
from chassis.messaging.relay import Relay
from chassis.runtime import log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage

_CHANNEL = "published"
_POOLED = (
    "DATABASE_URL leads to a connection pooler, which does not pass on notifications: new messages "
    "are looked for once a second. Set DATABASE_DIRECT_URL to the address of PostgreSQL itself."
)
_LOG = log.get("notifications")


def database(url: str, pool_size: int) -> Database:
    """A database whose transactions wake the relay when they publish."""
    opened = Database(url, pool_size=pool_size)
    if not opened.is_sqlite:
        opened.on_publish.append(lambda: _notify(opened))
    return opened


def listen(url: str, relay: Relay, stop: threading.Event) -> None:
    """Wake the relay at each notification. Reconnects until told to stop. Where a pooler keeps
    notifications to itself, it says so and ends."""
    backoff = Backoff(1.0, 10.0)
    outage = Outage(_LOG, "notifications.failed", "notifications.recovered")
    while not stop.is_set():
        try:
            with postgres.connect(url) as connection:
                if _is_pooled(connection):
                    _LOG.warning("notifications.pooled", detail=_POOLED)
                    return
                connection.execute(f"LISTEN {_CHANNEL}")
                outage.over()
                backoff.reset()
                relay.is_woken = True
                while not stop.is_set():
                    for _ in connection.notifies(timeout=2, stop_after=1):
                        relay.wake()
        except psycopg.Error as problem:
            relay.is_woken = False
            outage.failed(problem)
            backoff.wait(stop)


def _is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether someone between us and the server answers logins in its place."""
    served_by: Any = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(served_by[0] != connection.info.backend_pid)


def _notify(opened: Database) -> None:
    """In a transaction of its own: a NOTIFY in the transaction that publishes would make commits
    wait for one lock."""
    try:
        with opened.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            autocommit.exec_driver_sql(f"NOTIFY {_CHANNEL}")
    except Exception:
        _LOG.warning("notify.failed", exc_info=True)
