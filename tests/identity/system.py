"""Every service and the gateway in this process, on SQLite, without a thread of its own: nothing
happens between two requests but what a test asks for, so that whatever has changed was changed by
the request."""

import dataclasses
import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from chassis.db.database import Database
from chassis.messaging.in_process import InProcessBus
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import clock
from chassis.runtime.settings import Secret
from clientele import embedded
from flask import Flask
from gateway import app as gateway
from gateway.clients import InProcess
from membership import app as membership
from membership.values.passwords import Hasher
from werkzeug.test import Client, TestResponse

CHEAP = Hasher(memory_kib=8, passes=1)
PASSWORD = "four calm otters drift"
ADMIN = "admin@example.com"
Digest = dict[str, str]


class System:
    """The embedded footing, stepped by hand. The gateway limits nobody, and learns of revocations
    in ``settle``."""

    def __init__(self, folder: Path) -> None:
        self.place = embedded.Place(folder, 0)
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
        )
        self.settings: dict[str, Any] = settings
        self.databases = {
            s.name: Database(settings[s.name].database_url) for s in embedded.SERVICES
        }
        self.apps: dict[str, Flask] = {}
        transports: dict[str, InProcess] = {}
        for service in embedded.SERVICES:
            app = service.create_app(
                settings[service.name], self.databases[service.name], transports
            )
            self.apps[service.name], transports[service.name] = app, InProcess(app)
        self.apps["membership"].extensions["hasher"] = CHEAP
        bus = InProcessBus(
            {s.name: Inbox(self.databases[s.name], s.listeners) for s in embedded.SERVICES}
        )
        self._relays = [Relay(database, bus) for database in self.databases.values()]
        self._wires = transports
        self.gateway = gateway.create_app(settings["gateway"], transports)
        self._client = Client(self.gateway, use_cookies=False)
        membership.bootstrap(settings["membership"], self.databases["membership"])

    @property
    def signer(self) -> Any:
        """What signs access tokens."""
        return self.apps["membership"].extensions["signer"]

    def close(self) -> None:
        """Give everything back."""
        gateway.close_app(self.gateway)
        for database in self.databases.values():
            database.close()

    def renew_gateway(self) -> None:
        """One that has heard of no revocation yet, for databases that were put back."""
        gateway.close_app(self.gateway)
        self.gateway = gateway.create_app(self.settings["gateway"], self._wires)
        self._client = Client(self.gateway, use_cookies=False)

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
        if method != "GET" and body is not None:
            return self._client.open(path, method=method, json=body, headers=given)
        return self._client.open(path, method=method, headers=given)

    def settle(self) -> None:
        """Carry every message, run every job until none has anything to do, let the gateway learn
        who is out."""
        while self._step():
            pass
        for feed in self.gateway.extensions["forwarder"]._feeds:
            feed.poll()

    def _step(self) -> int:
        moved = sum(relay.step(clock.now()) for relay in self._relays)
        for service in embedded.SERVICES:
            database, settings = self.databases[service.name], self.settings[service.name]
            ran = [
                job.run(database, clock.now(), settings)
                for job in service.all_jobs()
                if job.every <= 5
            ]
            moved += sum(ran)
        return moved

    def files(self) -> dict[str, Path]:
        """The file of each database."""
        return {
            name: Path(database.url.removeprefix("sqlite:///"))
            for name, database in self.databases.items()
        }

    def digest(self, *, refusals: bool = True) -> Digest:
        """A hash of every row of every table. ``refusals``: not counting what a refusal leaves in
        the audit."""
        found: Digest = {}
        for name, path in self.files().items():
            with closing(sqlite3.connect(path)) as connection:
                tables = [
                    t
                    for (t,) in connection.execute(
                        "SELECT name FROM sqlite_master WHERE type = 'table'"
                    )
                ]
                for table in tables:
                    found[f"{name}.{table}"] = _hash(connection, table, refusals=refusals)
        return found


class Snapshot:
    """The databases as they were, to go back to."""

    def __init__(self, system: System) -> None:
        self._kept: dict[Path, sqlite3.Connection] = {}
        for path in system.files().values():
            kept = sqlite3.connect(":memory:")
            with closing(sqlite3.connect(path)) as source:
                source.backup(kept)
            self._kept[path] = kept

    def restore(self) -> None:
        """As it was."""
        for path, kept in self._kept.items():
            with closing(sqlite3.connect(path)) as target:
                kept.backup(target)

    def close(self) -> None:
        """Forget it."""
        for kept in self._kept.values():
            kept.close()


def _hash(connection: sqlite3.Connection, table: str, *, refusals: bool) -> str:
    wanted = (
        {
            "audit_entries": "WHERE outcome <> 'denied'",
            "audit_heads": "WHERE 0",
            "streams": "WHERE 0",
            "outbox": 'WHERE CAST(body AS TEXT) NOT LIKE \'%"outcome": "denied"%\'',
        }
        if refusals
        else {}
    )
    rows = connection.execute(f"SELECT * FROM {table} {wanted.get(table, '')}")
    return hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
