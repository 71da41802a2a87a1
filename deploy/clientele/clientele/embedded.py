"""The embedded mode: every service and role in one process, SQLite, no server, data in one folder.

The code is the services' own. Only the transport differs: a request is a function call, and a
message counts as sent once its consumers have committed.
"""

import dataclasses
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import StartResponse

from chassis.db import turns
from chassis.db.database import Database
from chassis.db.schema import CHASSIS, SERVICE_VERSION_TABLE, VERSION_TABLE, head
from chassis.http import networks
from chassis.messaging.in_process import InProcessBus
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import log, tick
from chassis.runtime.service import Service
from chassis.runtime.settings import Secret
from console import app as console
from flask import Flask
from gateway import app as gateway
from gateway.clients import InProcess
from membership import app as membership

from clientele import installation, registry
from clientele.dispatcher import Dispatcher
from clientele.installation import PAGE_RATE, THREADS, Installation

SERVICES: tuple[Service, ...] = registry.services()


class System:
    """The public WSGI application of an embedded system, and what is behind it. ``apps``: the
    application of each service, the gateway and the console among them."""

    def __init__(self, settings: Mapping[str, Any], *, page_rate: int = PAGE_RATE) -> None:
        self.settings = settings
        self.databases = {
            name: Database(settings[name].database_url, pool_size=THREADS + 8)
            for name in registry.with_database()
        }
        self.transports: dict[str, InProcess] = {}
        self.apps: dict[str, Flask] = {}
        for service in SERVICES:
            app = service.create_app(
                settings[service.name], self.databases[service.name], self.transports
            )
            self.apps[service.name] = app
            self.transports[service.name] = InProcess(app)
        pages = self.databases["console"]
        self.apps["gateway"] = gateway.create_app(
            settings["gateway"], self.transports, {"console": pages.check}
        )
        self.apps["console"] = console.create_app(
            settings["console"], pages, InProcess(self.apps["gateway"])
        )
        self._dispatcher = Dispatcher(
            self.apps["gateway"],
            self.apps["console"],
            page_rate=page_rate,
            trusted_proxies=networks.parse(settings["gateway"].trusted_proxies),
        )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        turns.note_request()
        return self._dispatcher(environ, start_response)

    def start_workers(self) -> None:
        """Run relays and periodic jobs in threads, until the process ends."""
        stop = threading.Event()
        inboxes = {s.name: Inbox(self.databases[s.name], s.listeners) for s in SERVICES}
        for service in SERVICES:
            database, settings = self.databases[service.name], self.settings[service.name]
            relay = Relay(database, InProcessBus(service.name, inboxes))
            database.on_publish.append(relay.wake)
            by_clock = service.with_transports(self.transports)
            jobs = tick.Tick(by_clock, database, settings)
            database.on_change.append(jobs.wake)
            jobs.is_woken = True
            self.apps[service.name].extensions["readiness"].add({**relay.checks, **jobs.checks})
            _start_thread(f"{service.name}-relay", relay.run, stop)
            _start_thread(f"{service.name}-tick", jobs.run, stop)


def run(at: Installation) -> None:
    """Prepare the data, print how to begin, serve until stopped."""
    from chassis.runtime.web_server import WebServer  # gunicorn; other commands do not serve

    log.start(os.environ.get("LOG_LEVEL", "WARNING"), service="clientele", role="embedded")
    settings = prepare(at)
    _greet(at, settings["membership"])
    WebServer(lambda: build(settings), f"127.0.0.1:{at.port}", 1, THREADS).run()


def prepare(at: Installation) -> dict[str, Any]:
    """Make secrets that are missing, bring the databases up to date; the settings by service."""
    settings = installation.settings_of(at)
    migrations = {service.name: service.migrations for service in SERVICES}
    migrations["console"] = console.MIGRATIONS
    for name, folder in migrations.items():
        _upgrade(folder, settings[name].database_url, shared=name != "console")
    for file in at.data.glob("*.db*"):  # SQLite gives files that it adds later the same mode
        file.chmod(0o600)
    return settings


def build(settings: Mapping[str, Any]) -> System:
    """The whole system, running."""
    system = System(settings)
    system.start_workers()
    return system


def add_provider(at: Installation, name: str, email: str) -> str:
    """Add another provider; its owner's login, in words. Raises Conflict if the name is taken."""
    settings = dataclasses.replace(
        prepare(at)["membership"],
        clientele_provider_name=name,
        clientele_admin_email=email,
        clientele_admin_password=Secret(""),
    )
    database = Database(settings.database_url, pool_size=1)
    try:
        return membership.add_provider(settings, database).sentence()
    finally:
        database.close()


def _upgrade(folder: Path, url: str, *, shared: bool) -> None:
    """Bring a database up to date. Alembic is slow to import, so it is used only when needed."""
    database = Path(url.removeprefix("sqlite:///"))
    current = _is_current(folder, database, SERVICE_VERSION_TABLE)
    if current and (not shared or _is_current(CHASSIS, database, VERSION_TABLE)):
        return
    from chassis.db import migrations

    migrations.upgrade(folder, url, shared=shared)


def _is_current(folder: Path, database: Path, table: str) -> bool:
    """Whether the version table names the newest revision of the folder."""
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(f"SELECT version_num FROM {table}").fetchall()  # noqa: S608 - ours
    except sqlite3.Error:
        return False
    return rows == [(head(folder),)]


def _start_thread(name: str, target: Callable[..., None], *args: Any) -> None:
    threading.Thread(target=target, args=args, name=name, daemon=True).start()


def _mail_goes_to(url: str) -> str:
    """The folder or the mail server, without its password."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "file" else parts.netloc.rpartition("@")[2]


def _greet(at: Installation, settings: Any) -> None:
    """Make the provider and its first login on the first start; print how to sign in."""
    database = Database(settings.database_url)
    login = membership.bootstrap(settings, database)
    database.close()
    if login is None:
        email, password = settings.clientele_admin_email, "unchanged"
    else:
        email, password = login.email, login.password or "from CLIENTELE_ADMIN_PASSWORD"
    print(  # noqa: T201 - this is what the command is for
        f"\n  Open           {at.address}\n"
        f"  Sign in as     {email}\n"
        f"  Password       {password}\n"
        f"  Mail goes to   {_mail_goes_to(settings.mail_url)}\n\n"
        "  Load example customers from another terminal, with that password:\n"
        f"    CLIENTELE_ADMIN_PASSWORD='…' make demo BASE_URL={at.address}\n\n"
        "  Stop with Ctrl-C. All data is kept.\n",
        file=sys.stdout,
        flush=True,
    )
