"""Waking relays and jobs across processes, with LISTEN and NOTIFY of PostgreSQL."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

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
Channels = Mapping[str, Callable[[], None]]


class Sleeper(Protocol):
    """Something that waits for work. ``is_woken``: whether ``wake`` is called when there may be
    some."""

    is_woken: bool

    def wake(self) -> None:
        """Look for work now."""
        ...


def database(url: str, pool_size: int, now: Callable[[], float] = time.monotonic) -> Database:
    """A database whose transactions wake the relay when they publish, and the jobs when they change
    something."""
    opened, due = Database(url, pool_size=pool_size), float("-inf")

    def notify_of_change() -> None:
        nonlocal due
        if now() >= due and _notify(opened, CHANGED):
            due = now() + CHANGED_EVERY

    if not opened.is_sqlite:
        opened.on_publish.append(lambda: _notify(opened, PUBLISHED))
        opened.on_change.append(notify_of_change)
    return opened


def listen(url: str, channels: Channels, sleeper: Sleeper, stop: threading.Event) -> None:
    """Call the function of a channel at each of its notifications, and wake the sleeper when the
    connection is made or lost: something may have been missed. Reconnects until told to stop. Where
    a pooler keeps notifications to itself, it says so and ends."""
    from chassis.db import postgres  # the driver takes long to import, and embedded mode needs none

    backoff = Backoff(1.0, 10.0)
    outage = Outage(_LOG, "notifications.failed", "notifications.recovered")
    while not stop.is_set():
        try:
            with postgres.connect(url) as connection:
                if _is_pooled(connection):
                    _LOG.warning("notifications.pooled", detail=_POOLED)
                    return
                for channel in channels:
                    connection.execute(f"LISTEN {channel}")
                outage.over()
                backoff.reset()
                sleeper.is_woken = True
                sleeper.wake()
                while not stop.is_set():
                    for notification in connection.notifies(timeout=2, stop_after=1):
                        channels[notification.channel]()
        except postgres.Error as problem:
            outage.failed(problem)
        finally:
            if sleeper.is_woken:
                sleeper.is_woken = False
                sleeper.wake()
        backoff.wait(stop)


def _is_pooled(connection: Any) -> bool:
    """Whether someone between us and the server answers logins in its place."""
    served_by: Any = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(served_by[0] != connection.info.backend_pid)


def _notify(opened: Database, channel: str) -> bool:
    """Whether it could be sent. In a transaction of its own: a NOTIFY in the transaction that
    changes something would make commits wait for one lock."""
    try:
        with opened.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            autocommit.exec_driver_sql(f"NOTIFY {channel}")
    except Exception:
        _LOG.warning("notify.failed", exc_info=True)
        return False
    return True
