"""Every service and the gateway in this process, on SQLite, without a thread of its own: nothing
happens between two requests but what a test asks for, so that whatever has changed was changed by
the request."""

import dataclasses
import functools
import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chassis.db.database import Database
from chassis.messaging.in_process import InProcessBus
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import clock
from chassis.runtime.service import Service
from chassis.runtime.settings import Secret
from clientele import embedded
from clientele.installation import Installation
from flask import Flask
from gateway import app as gateway
from gateway.clients import InProcess
from membership import app as membership
from membership.values.passwords import Hasher
from sqlalchemy import event, text
from werkzeug.test import Client, TestResponse

from tests.prepared_steps import Files

CHEAP = Hasher(memory_kib=8, passes=1)
PASSWORD = "four calm otters drift"
ADMIN = "admin@example.com"
Digest = dict[str, str]
FREQUENT = 1.0  # seconds: jobs that are due less often run only where a test names them
_NEXT_TRANSACTION = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
_UNSENT = "SELECT 1 FROM outbox WHERE published_at IS NULL LIMIT 1"
CLOCK_MOVED = timedelta(seconds=10)


class System:
    """The embedded mode, stepped by hand. The gateway limits nobody, and learns of revocations
    in ``settle``."""

    def __init__(self, folder: Path) -> None:
        self.place = Installation(folder, 0)
        settings = embedded.prepare(self.place)
        settings["membership"] = dataclasses.replace(
            settings["membership"],
            clientele_admin_email=ADMIN,
            clientele_admin_password=Secret(PASSWORD),
            mail_url=f"file://{folder / 'mail'}",
            public_url="https://app.example",
        )
        settings["gateway"] = dataclasses.replace(
            settings["gateway"],
            rate_per_second=10**6,
            rate_burst=10**9,
            public_rate=10**9,
            feed_poll_s=10**6,
            feed_silence_s=10**6,
            trusted_proxies="127.0.0.0/8",
        )
        settings["console"] = dataclasses.replace(
            settings["console"], trusted_proxies="127.0.0.0/8"
        )
        self.settings: dict[str, Any] = settings
        self.databases = {
            s.name: Database(settings[s.name].database_url) for s in embedded.SERVICES
        }
        for database in self.databases.values():
            event.listen(database.engine, "connect", _without_sync)
        self.apps: dict[str, Flask] = {}
        transports: dict[str, InProcess] = {}
        for service in embedded.SERVICES:
            app = service.create_app(
                settings[service.name], self.databases[service.name], transports
            )
            self.apps[service.name], transports[service.name] = app, InProcess(app)
        self.apps["membership"].extensions["hasher"] = CHEAP
        inboxes = {s.name: Inbox(self.databases[s.name], s.listeners) for s in embedded.SERVICES}
        self._relays = {
            name: Relay(database, InProcessBus(name, inboxes))
            for name, database in self.databases.items()
        }
        self._watchers = {
            name: sqlite3.connect(path, check_same_thread=False)
            for name, path in self.files().items()
            if name in self.databases and self.databases[name].is_sqlite
        }
        self._idle = {name: (datetime.min.replace(tzinfo=UTC), -1) for name in self.databases}
        self._wires = transports
        self.gateway = gateway.create_app(settings["gateway"], transports)
        self._client = Client(self.gateway, use_cookies=False)
        membership.bootstrap(settings["membership"], self.databases["membership"])

    @property
    def signer(self) -> Any:
        """What signs access tokens."""
        return self.apps["membership"].extensions["signer"]

    @functools.cached_property
    def contents(self) -> Files:
        """What is in the files of the databases."""
        return Files(self.files().values())

    def close(self) -> None:
        """Give everything back."""
        gateway.close_app(self.gateway)
        if "contents" in vars(self):
            self.contents.close()
        for watcher in self._watchers.values():
            watcher.close()
        for database in self.databases.values():
            database.close()

    def renew_gateway(self) -> None:
        """One that has heard of no revocation yet, for databases that were put back."""
        gateway.close_app(self.gateway)
        self.gateway = gateway.create_app(self.settings["gateway"], self._wires)
        self._client = Client(self.gateway, use_cookies=False)

    def known_revocations(self) -> list[tuple[Any, ...]]:
        """What the gateway has learned from each feed."""
        return [
            (feed._position, dict(known._before), dict(known._closed), dict(known._opened))
            for feed, known in self._revocations()
        ]

    def set_revocations(self, learned: Sequence[tuple[Any, ...]]) -> None:
        """Let the gateway know this and nothing else, for databases that were put back; unlike
        ``renew_gateway`` for clients that hold on to it."""
        for (feed, known), (last, before, closed, opened) in zip(
            self._revocations(), learned, strict=True
        ):
            feed._position = last
            known._before, known._closed, known._opened = dict(before), dict(closed), dict(opened)

    def _revocations(self) -> list[tuple[Any, Any]]:
        feeds = self.gateway.extensions["forwarder"]._feeds
        return [(feed, feed._learn.__self__) for feed in feeds]

    def renew_leases(self) -> None:
        """Let the relays take their leases again, for databases that were put back."""
        for relay in self._relays.values():
            relay.leases._until = None

    def add_provider(self, name: str, email: str) -> None:
        """A further provider whose owner has the same password as everybody."""
        settings = dataclasses.replace(
            self.settings["membership"], clientele_provider_name=name, clientele_admin_email=email
        )
        membership.add_provider(settings, self.databases["membership"])
        self.settle()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """One request, as it comes to the gateway."""
        given = dict(headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        content = {"json": body} if method != "GET" and body is not None else {}
        # Read to its end and closed, as by a client, so that it takes no slot any more.
        return self._client.open(path, method=method, headers=given, buffered=True, **content)

    def settle(self, *jobs: str) -> None:
        """Carry every message and run the frequent jobs of every service whose data has changed
        (or whose clock has moved) since it was last found idle, until all are; then let the
        gateway learn who has lost access. ``jobs``: names of other jobs that are to run first,
        for as long as they find something."""
        self._run_named(jobs)
        changed = False
        while waiting := [s for s in embedded.SERVICES if self._has_work(s.name)]:
            changed = True
            self._advance(waiting)
        if changed:
            for feed in self.gateway.extensions["forwarder"]._feeds:
                feed.poll()

    def _advance(self, services: Sequence[Service]) -> None:
        """Relay a batch of each service; only when there was nothing to relay, run their jobs."""
        seen = {s.name: (clock.now(), self._version(s.name)) for s in services}
        if sum(self._relays[s.name].step(clock.now()) for s in services if self._to_send(s.name)):
            return
        for service in services:
            if not self._run_jobs(service):
                self._idle[service.name] = seen[service.name]

    def _run_named(self, names: Sequence[str]) -> None:
        for service in embedded.SERVICES:
            for job in service.with_transports(self._wires).all_jobs():
                database, settings = self.databases[service.name], self.settings[service.name]
                while job.name in names and job.run(database, clock.now(), settings):
                    pass

    def _has_work(self, name: str) -> bool:
        """Whether a service's database has been written since it was last found idle, or the clock
        has moved by more than tests take."""
        idle_at, version = self._idle[name]
        return abs(clock.now() - idle_at) > CLOCK_MOVED or version != self._version(name)

    def _to_send(self, name: str) -> bool:
        """Whether messages may be waiting; a query that costs much less than a relay's step."""
        if name not in self._watchers:
            return True
        return self._watchers[name].execute(_UNSENT).fetchone() is not None

    def _run_jobs(self, service: Service) -> int:
        """Run each frequent job once; how much they did."""
        database, settings = self.databases[service.name], self.settings[service.name]
        return sum(
            job.run(database, clock.now(), settings)
            for job in service.all_jobs()
            if job.every <= FREQUENT
        )

    def _version(self, name: str) -> int:
        """Changes with every write to a service's database (on PostgreSQL, to any of the
        server)."""
        if name not in self._watchers:
            with self.databases[name].reading() as session:
                return int(session.execute(_NEXT_TRANSACTION).scalar_one())
        (version,) = self._watchers[name].execute("PRAGMA data_version").fetchone()
        return int(version)

    def files(self) -> dict[str, Path]:
        """The file of each database."""
        return {
            name: Path(database.url.removeprefix("sqlite:///"))
            for name, database in self.databases.items()
        }

    def digest(self, *, refusals: bool = True) -> Digest:
        """A hash of every row of every table. ``refusals``: not counting what a refusal leaves in
        the audit."""
        hashes: Digest = {}
        for name, path in self.files().items():
            with closing(sqlite3.connect(path)) as connection:
                tables = [
                    t
                    for (t,) in connection.execute(
                        "SELECT name FROM sqlite_master WHERE type = 'table'"
                    )
                ]
                for table in tables:
                    hashes[f"{name}.{table}"] = _hash(connection, table, refusals=refusals)
        return hashes


class Snapshot:
    """The databases as they were, to go back to."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._kept = system.contents.keep()

    def restore(self) -> None:
        """Put back what has changed since."""
        self._system.contents.restore(self._kept)
        self._system.renew_leases()


def _without_sync(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):  # a test has nothing to lose in a power failure
        connection.execute("PRAGMA synchronous = OFF")


def _hash(connection: sqlite3.Connection, table: str, *, refusals: bool) -> str:
    wanted = (
        {
            "audit_entries": "WHERE outcome <> 'denied'",
            "audit_heads": "WHERE 0",
            "streams": "WHERE 0",
            "guesses": "WHERE 0",  # counts attempts
            "outbox": 'WHERE CAST(body AS TEXT) NOT LIKE \'%"outcome": "denied"%\'',
        }
        if refusals
        else {}
    )
    rows = connection.execute(f"SELECT * FROM {table} {wanted.get(table, '')}")
    return hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
