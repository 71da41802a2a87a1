"""Waking relays and jobs across processes, with LISTEN and NOTIFY of PostgreSQL."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import psycopg

from chassis.db import postgres
from chassis.db.database import Database
from chassis.runtime import log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage

# A message was published; data was changed, so that jobs may have something to do.
PUBLISHED, CHANGED = "published", "changed"
# Seconds between two notifications of changes by one process: once woken, jobs stay so for longer.
CHANGED_EVERY = 10.0
_POOLED = (
    "DATABASE_URL leads to a connection pooler, which does not pass on notifications: this role "
    "looks for work every second or two. Set DATABASE_DIRECT_URL to the address of PostgreSQL "
    "itself."
)
_LOG = log.get("notifications")


class Sleeper(Protocol):
    """Something that waits for work. ``is_woken``: whether ``wake`` is called when there may be
    some."""

    is_woken: bool

    def wake(self) -> None:
        """Look for work now."""
        ...


def database(url: str, pool_size: int) -> Database:
    """A database whose transactions wake the relay when they publish."""
    opened = Database(url, pool_size=pool_size)
    if not opened.is_sqlite:
        opened.on_publish.append(lambda: _notify(opened, PUBLISHED))
    return opened


def wake_jobs(opened: Database, now: Callable[[], float] = time.monotonic) -> None:
    """Have the transactions of this process wake the jobs when they change something."""
    due = float("-inf")

    def notify() -> None:
        nonlocal due
        if now() >= due:
            due = now() + CHANGED_EVERY
            _notify(opened, CHANGED)

    if not opened.is_sqlite:
        opened.on_change.append(notify)


def listen(url: str, channel: str, sleeper: Sleeper, stop: threading.Event) -> None:
    """Wake it at each notification, and once it is connected: one may have been missed. Reconnects
    until told to stop. Where a pooler keeps notifications to itself, it says so and ends."""
    backoff = Backoff(1.0, 10.0)
    outage = Outage(_LOG, "notifications.failed", "notifications.recovered")
    while not stop.is_set():
        try:
            with postgres.connect(url) as connection:
                if _is_pooled(connection):
                    _LOG.warning("notifications.pooled", detail=_POOLED)
                    return
                connection.execute(f"LISTEN {channel}")
                outage.over()
                backoff.reset()
                sleeper.is_woken = True
                sleeper.wake()
                while not stop.is_set():
                    for _ in connection.notifies(timeout=2, stop_after=1):
                        sleeper.wake()
        except psycopg.Error as problem:
            sleeper.is_woken = False
            outage.failed(problem)
            backoff.wait(stop)


def _is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether someone between us and the server answers logins in its place."""
    served_by: Any = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(served_by[0] != connection.info.backend_pid)


def _notify(opened: Database, channel: str) -> None:
    """In a transaction of its own: a NOTIFY in the transaction that changes something would make
    commits wait for one lock."""
    try:
        with opened.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            autocommit.exec_driver_sql(f"NOTIFY {channel}")
    except Exception:
        _LOG.warning("notify.failed", exc_info=True)
