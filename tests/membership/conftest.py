"""Membership on both databases, used over HTTP, by messages and by its jobs."""

import email
import email.policy
import hashlib
import json
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

import pytest
from chassis.db import migrations
from chassis.db.database import Database
from chassis.db.unit_of_work import write_collected
from chassis.messaging import outbox
from chassis.messaging.inbox import Inbox
from chassis.runtime import clock, ids
from chassis.runtime.settings import Secret
from contracts import org
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from membership import app as application
from membership import guard, jobs, listeners
from membership.config import Settings
from membership.values import passwords
from membership.values.passwords import Hasher
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.databases import be_patient
from tests.prepared_steps import Contents, Copies, Files, PostgresDatabase, Steps


class OfService(Protocol):
    """What is prepared in a service."""

    service: "MembershipService"


S = TypeVar("S", bound=OfService)
CHEAP = Hasher(memory_kib=8, passes=1)
PASSWORD = "four calm otters drift"
GATEWAY = ("gateway", "gateway's own")


def pem() -> Secret:
    key = Ed25519PrivateKey.generate()
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    )


class MembershipService:
    """A membership service whose clock can be moved."""

    def __init__(
        self, app: Flask, database: Database, folder: Path, clock_at: "Clock", steps: Steps
    ) -> None:
        self.steps = steps
        self.app, self.database, self.folder, self.clock = app, database, folder, clock_at
        self.settings = _settings(database.url, folder)
        access_control = guard.access_control(
            database, app.extensions["signer"], self.settings.internal_callers
        )
        app.extensions.update(
            settings=self.settings, database=database, access_control=access_control, hasher=CHEAP
        )
        self.inbox = Inbox(database, listeners.LISTENERS)
        self.client = self.app.test_client()

    # --- by messages

    def receive(self, message: Any) -> None:
        with self.database.transaction() as session:
            outbox.publish(session, message)
            write_collected(session)
            row = session.scalars(
                select(outbox.OutboxRow).order_by(outbox.OutboxRow.seq.desc()).limit(1)
            ).one()
            body = row.body
            session.delete(row)
        self.inbox.receive(body, published_by=message.producer())
        assert self.inbox.dead_letters() == []

    def published(self, kind: type) -> list[Any]:
        with self.database.reading() as session:
            rows = session.scalars(
                select(outbox.OutboxRow)
                .where(outbox.OutboxRow.type == kind.TYPE)
                .order_by(outbox.OutboxRow.seq)
            )
            return [kind.load(json.loads(row.body)["data"]) for row in rows]

    # --- by the clock

    def send_mails(self) -> list[email.message.EmailMessage]:
        """Send what is due; returns all emails so far, oldest first."""
        while jobs.send_mails(self.database, clock.now(), self.settings):
            pass
        files = sorted(self.folder.glob("*.eml"))
        return [
            email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files
        ]

    def link(self, to: str) -> str:
        """The token in the last email to that address."""
        mails = [m for m in self.send_mails() if m["To"] == to]
        match = re.search(r"https://app\.example/(?:verify|reset)/(\S+)", mails[-1].get_content())
        assert match
        return match[1]

    # --- over HTTP

    def call(
        self, method: str, path: str, body: Any = None, *, token: str = "", **kwargs: Any
    ) -> TestResponse:
        headers = kwargs.pop("headers", {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.open(path, method=method, json=body, headers=headers, **kwargs)

    def log_in(self, address: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        answer = self.call("POST", "/v1/sessions", {"email": address, "password": password, **more})
        assert answer.status_code == 201, answer.text
        return answer.json

    def feed(self, after: int = 0) -> dict[str, Any]:
        answer = self.client.get(f"/internal/revocations?after={after}", auth=GATEWAY)
        assert answer.status_code == 200
        return answer.json

    def is_revoked(self, access_token: str) -> bool:
        """Whether the feed makes the gateway refuse this token."""
        claims = self.claims(access_token)
        of = {"session": "sid", "identity": "sub", "member": "mid"}
        return any(
            claims.get(of[e["kind"]]) == e["key"] and claims["iat"] < e["before"]
            for e in self.feed()["entries"]
        )

    def claims(self, access_token: str) -> dict[str, Any]:
        return self.app.extensions["access_control"].verifier.verify(access_token)

    # --- in short

    def prepared(self, step: Hashable, prepare: Callable[[], S]) -> S:
        """What ``prepare`` prepares and returns, an object with this service as an attribute; taken
        from a copy where the test has begun with the same steps as one before. A step has its name
        in the module of ``prepare`` only: two of them may use the same word."""
        made = self.steps.once((prepare.__module__, step), prepare)
        made.service = self
        return made

    def __deepcopy__(self, _known: dict[int, Any]) -> "MembershipService":
        return self

    def provider(self) -> str:
        """Create the provider; returns its owner's access token."""
        return self.steps.once("provider", self._provider)

    def _provider(self) -> str:
        if application.bootstrap(self.settings, self.database) is None:
            raise AssertionError("there was one")
        token: str = self.log_in("admin@example.com")["access_token"]
        return token

    def customer(
        self, address: str = "olga@customer.example", *, provider_id: str = "", **more: Any
    ) -> str:
        """Create an open customer whose owner is invited."""
        step = ("customer", address, provider_id, repr(more))
        return self.steps.once(step, lambda: self._customer(address, provider_id, more))

    def _customer(self, address: str, provider_id: str, more: dict[str, Any]) -> str:
        organization_id = ids.new("org")
        known = {
            "name": "Acme Ltd",
            "given_name": "Olga",
            "family_name": "Owner",
            "managed_by": "provider",
        } | more
        self.receive(
            org.InviteOwner(
                organization_id=organization_id,
                provider_id=provider_id or ids.new("org"),
                email=address,
                **known,
            )
        )
        self.receive(
            org.OrganizationActivated(organization_id=organization_id, provider_id=provider_id)
        )
        return organization_id

    def accept(self, address: str, password: str = PASSWORD) -> None:
        """Join by the last link, with this password or the one that the person has."""
        path = f"/v1/verifications/{self.link(address)}"
        is_new = self.call("GET", path).json["password_required"]
        answer = self.call("POST", path, {"password": password} if is_new else {})
        assert answer.status_code == 201, answer.text

    def owner(self, address: str = "olga@customer.example", **more: Any) -> tuple[str, str]:
        """Create an open customer; returns its id and its owner's access token."""
        return self.steps.once(("owner", address, repr(more)), lambda: self._owner(address, more))

    def _owner(self, address: str, more: dict[str, Any]) -> tuple[str, str]:
        organization_id = self.customer(address, **more)
        self.accept(address)
        login = self.log_in(address, organization_id=organization_id)
        return organization_id, login["access_token"]


class Clock:
    """The time of a test. It passes as usual and can be stopped and advanced."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.stopped_at: datetime | None = None

    def now(self) -> datetime:
        return (self.stopped_at or datetime.now(UTC)) + self.ahead

    def stop(self) -> None:
        """Let time pass only by ``advance``."""
        self.stopped_at = datetime.now(UTC)

    def advance(self, **time: float) -> None:
        self.ahead += timedelta(**time)


@dataclass
class Situation:
    """All that a step changes: the database, the emails, the time that it takes. The clock is put
    back, too, so that what was just made is as new as when it was made."""

    contents: Contents
    mails: Path
    clock: Clock

    def version(self) -> Any:
        """Changes with the database and when a test moves the clock."""
        return self.contents.version(), self.clock.ahead

    def keep(self) -> Any:
        """A copy."""
        mails = {path.name: path.read_bytes() for path in self.mails.glob("*.eml")}
        return self.contents.keep(), mails, self.clock.now()

    def restore(self, kept: Any) -> None:
        """As it was."""
        contents, mails, now = kept
        self.contents.restore(contents)
        self.mails.mkdir(exist_ok=True)
        for name, mail in mails.items():
            (self.mails / name).write_bytes(mail)
        self.clock.ahead = now - (self.clock.stopped_at or datetime.now(UTC))


KEY = pem()


def _settings(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=Secret(url),
        signing_key=KEY,
        pepper=Secret("a pepper"),
        mail_url=Secret(f"file://{folder}"),
        public_url="https://app.example",
        clientele_admin_password=Secret(PASSWORD),
        internal_callers=_callers(gateway="gateway's own", org="org's own"),
    )


def _callers(**secrets: str) -> str:
    return ",".join(
        f"{name}={hashlib.sha256(secret.encode()).hexdigest()}" for name, secret in secrets.items()
    )


@pytest.fixture
def movable_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "now", made.now)
    return made


@dataclass
class Store:
    """The database on one engine, for all tests."""

    database: Database
    contents: Contents
    copies: Copies = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.empty = self.contents.keep()

    def close(self) -> None:
        """Close every connection."""
        self.contents.close()
        self.database.close()


@pytest.fixture
def stopped_clock(movable_clock: Clock) -> None:
    """Limits run out only when the test says so, however long it takes."""
    movable_clock.stop()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("membership") / "membership.db"
    migrations.upgrade(application.SERVICE.migrations, f"sqlite:///{path}")
    made = Store(Database(f"sqlite:///{path}"), Files([path]))
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgresql(postgres: Any) -> Iterator[Store]:
    urls = be_patient(postgres, postgres.fresh_database("membership"))
    migrations.upgrade(application.SERVICE.migrations, urls.owner_url)
    made = Store(Database(urls.app_url), PostgresDatabase(urls.owner_url))
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database; the engine stays, so that it need not learn its statements again for every
    test."""
    store: Store = request.getfixturevalue(request.param)
    store.contents.restore(store.empty)
    return store.database


@pytest.fixture(scope="session")
def app(sqlite: Store, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application, created once; each test gives it its own database."""
    return application.SERVICE.create_app(
        _settings(sqlite.database.url, tmp_path_factory.mktemp("mails")), sqlite.database, {}
    )


@pytest.fixture
def service(
    app: Flask,
    database: Database,
    tmp_path: Path,
    movable_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> MembershipService:
    monkeypatch.setattr(
        application, "passwords", SimpleNamespace(Hasher=lambda: CHEAP, check=passwords.check)
    )
    store: Store = request.getfixturevalue("sqlite" if database.is_sqlite else "postgresql")
    folder = tmp_path / "mails"
    steps = Steps(Situation(store.contents, folder, movable_clock), store.copies)
    return MembershipService(app, database, folder, movable_clock, steps)
