"""Waking the relay across processes, with LISTEN and NOTIFY of PostgreSQL."""

import threading

import psycopg

from chassis.db.database import Database
from chassis.messaging.relay import Relay
from chassis.runtime import log
from chassis.runtime.backoff import Backoff

_CHANNEL = "published"
_LOG = log.get("notifications")


def database(url: str, pool_size: int) -> Database:
    """A database whose transactions wake the relay when they publish."""
    opened = Database(url, pool_size=pool_size)
    if not opened.is_sqlite:
        opened.on_publish.append(lambda: _notify(opened))
    return opened


def listen(url: str, relay: Relay, stop: threading.Event) -> None:
    """Wake the relay at each notification. Reconnects until told to stop."""
    backoff = Backoff(1.0, 10.0)
    while not stop.is_set():
        try:
            _listen_once(url, relay, backoff, stop)
        except psycopg.Error:
            backoff.wait(stop)


def _listen_once(url: str, relay: Relay, backoff: Backoff, stop: threading.Event) -> None:
    conninfo = url.replace("+psycopg", "", 1)
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=2) as connection:
        connection.execute(f"LISTEN {_CHANNEL}")
        backoff.reset()
        while not stop.is_set():
            for _ in connection.notifies(timeout=1, stop_after=1):
                relay.wake()


def _notify(opened: Database) -> None:
    """In a transaction of its own: a NOTIFY in the transaction that publishes would make commits
    wait for one lock."""
    try:
        with opened.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            autocommit.exec_driver_sql(f"NOTIFY {_CHANNEL}")
    except Exception:
        _LOG.warning("notify.failed", exc_info=True)
