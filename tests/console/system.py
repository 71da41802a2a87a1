"""The whole system in this process, gateway and console at one address as for a browser."""

import email
import email.policy
import re
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from chassis.db.database import Database
from chassis.http import networks
from chassis.runtime import clock
from clientele import embedded
from clientele.dispatcher import Dispatcher
from console.app import create_app
from flask import Flask
from gateway.clients import InProcess
from membership import app as membership
from membership.values import passwords
from sqlalchemy import event

from tests.identity.system import CHEAP, System
from tests.prepared_steps import Steps

T = TypeVar("T")
_OVERHEAD = ("BEGIN", "PRAGMA")


class Whole(System):
    """Services, gateway and console. Messages are delivered only before a page is loaded and while
    a request is in progress, which may wait for another service."""

    def __init__(self, folder: Path) -> None:
        with _cheap():
            super().__init__(folder)
        self._turn = threading.Lock()
        self._published = threading.Event()
        self._delivering = threading.local()
        for service in embedded.SERVICES:
            self.databases[service.name].on_publish.append(self._published.set)
        self.pages = Database(self.settings["console"].database_url, pool_size=40)
        self.console = create_app(self.settings["console"], self.pages, InProcess(self.gateway))
        self.front = self.dispatcher(self.gateway, self.console)
        self.statements: list[str] = []
        for database in (*self.databases.values(), self.pages):
            event.listen(database.engine, "before_cursor_execute", self._note)
        self._mails: dict[str, str] = {}
        self._read: set[Path] = set()
        self._gateway = self.console.extensions["gateway"]
        self.ahead = timedelta(0)
        self.steps: Steps | None = None
        self.settle()

    def dispatcher(self, gateway: Flask, console: Flask) -> Dispatcher:
        """One address for both, as browsers see it."""
        trusted = networks.parse("127.0.0.0/8")
        return Dispatcher(gateway, console, page_rate=10**9, trusted_proxies=trusted)

    def files(self) -> dict[str, Path]:
        """The database files of the services and the console."""
        path = Path(self.settings["console"].database_url.removeprefix("sqlite:///"))
        return {**super().files(), "console": path}

    def close(self) -> None:
        """Release everything."""
        super().close()
        self.pages.close()

    def add_provider(self, name: str, email: str) -> None:
        """Add a provider; its owner has the same password as all test users."""
        with _cheap():
            super().add_provider(name, email)

    def settle(self, *jobs: str) -> None:
        """Deliver messages and run jobs, by one thread at a time."""
        with self._turn:
            self._delivering.now = True
            try:
                super().settle(*jobs)
            finally:
                self._delivering.now = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Messages are delivered in the background."""
        over = False

        def deliver() -> None:
            while self._published.wait() and not over:
                self._published.clear()
                self.settle()

        self._published.clear()
        worker = threading.Thread(target=deliver)
        worker.start()
        try:
            yield
        finally:
            over = True
            self._published.set()
            worker.join()

    def now(self) -> datetime:
        """The time of a test that begins with a copy goes on from when the copy was made."""
        return datetime.now(UTC) + self.ahead

    def once(self, step: Hashable, take: Callable[[], T]) -> T:
        """Take the step, or put back what it led to when another test began with the same steps;
        its result."""
        return self.steps.once(step, take) if self.steps and self.is_usual() else take()

    def is_usual(self) -> bool:
        """Whether the console uses the database and the gateway that belong to it."""
        extensions = self.console.extensions
        return extensions["database"] is self.pages and extensions["gateway"] is self._gateway

    def version(self) -> Any:
        """Changes with every write, and with what the console uses."""
        return self.contents.version(), self.is_usual()

    def keep(self) -> Any:
        """A copy of all that steps change."""
        self._read_mails()
        idle = [name for name in self.databases if not self._has_work(name)]
        known = self.known_revocations()
        return self.contents.keep(), clock.now(), dict(self._mails), known, idle

    def restore(self, kept: Any) -> None:
        """Put everything back."""
        contents, now, mails, known, idle = kept
        self.contents.restore(contents)
        self.ahead = now - datetime.now(UTC)
        self._mails = dict(mails)
        self._read.update((self.place.data / "mail").glob("*.eml"))
        self.renew_leases()
        self.set_revocations(known)
        for name in idle:
            self._idle[name] = now, self._version(name)

    def mail(self, address: str) -> str:
        """The last email to an address."""
        self.settle()
        self._read_mails()
        return self._mails[address]

    def _read_mails(self) -> None:
        for path in sorted(set((self.place.data / "mail").glob("*.eml")) - self._read):
            self._read.add(path)
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            self._mails[message["To"]] = message.get_content()

    def link(self, address: str) -> str:
        """The path of the link in that email: ``/verify/…`` or ``/reset/…``."""
        match = re.search(r"https://app\.example(/(?:verify|reset)/\S+)", self.mail(address))
        assert match, self.mail(address)
        return match[1]

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not getattr(self._delivering, "now", False) and not statement.startswith(_OVERHEAD):
            self.statements.append(statement)


@contextmanager
def _cheap() -> Iterator[None]:
    """Use a fast password hash."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = SimpleNamespace(Hasher=lambda: CHEAP, check=passwords.check)
        patch.setattr(membership, "passwords", cheap)
        yield
