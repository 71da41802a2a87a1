"""Membership on both databases, asked the way others ask it: over HTTP, by messages, by the clock."""

import email
import email.policy
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chassis import clock, ids, migrate, outbox
from chassis.config import Secret
from chassis.inbox import Inbox
from chassis.sql import Database
from contracts import org
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from membership import app as application
from membership import listeners
from membership.config import Settings
from membership.values.passwords import Hasher
from sqlalchemy import select, text
from werkzeug.test import TestResponse

CHEAP = Hasher(memory_kib=8, passes=1)
PASSWORD = "four calm otters drift"
GATEWAY = ("gateway", "gateway's own")


def pem() -> Secret:
    key = Ed25519PrivateKey.generate()
    return Secret(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode())


class World:
    """One membership service with a clock that can be moved."""

    def __init__(self, database: Database, folder: Path, clock_at: "Clock") -> None:
        self.database, self.folder, self.clock = database, folder, clock_at
        self.settings = Settings(
            database_url=Secret(database.url), signing_key=pem(), mail_url=Secret(f"file://{folder}"),
            public_url="https://app.example", clientele_admin_password=Secret(PASSWORD),
            internal_callers=_callers(gateway="gateway's own", org="org's own"),
        )
        self.app = application.create_app(self.settings, database, {})
        self.app.extensions["hasher"] = CHEAP
        self.inbox = Inbox(database, listeners.LISTENERS)
        self.client = self.app.test_client()

    # --- by messages

    def hear(self, message: Any) -> None:
        with self.database.transaction() as session:
            outbox.say(session, message)
            session.flush()
            row = session.scalars(select(outbox.OutboxRow).order_by(outbox.OutboxRow.seq.desc()).limit(1)).one()
            body = row.body
            session.delete(row)
        self.inbox.receive(body)
        assert self.inbox.dead_letters() == []

    def said(self, kind: type) -> list[Any]:
        with self.database.reading() as session:
            rows = session.scalars(
                select(outbox.OutboxRow).where(outbox.OutboxRow.type == kind.TYPE).order_by(outbox.OutboxRow.seq)
            )
            return [kind.load(json.loads(row.body)["data"]) for row in rows]

    # --- by the clock

    def post(self) -> list[email.message.EmailMessage]:
        """Send what is due; all mails so far, oldest first."""
        while listeners.send_mails(self.database, clock.now(), self.settings):
            pass
        files = sorted(self.folder.glob("*.eml"))
        return [email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files]

    def link(self, to: str) -> str:
        """The token in the last mail to that address."""
        mails = [m for m in self.post() if m["To"] == to]
        found = re.search(r"https://app\.example/(?:verify|reset)/(\S+)", mails[-1].get_content())
        assert found
        return found[1]

    # --- over HTTP

    def call(self, method: str, path: str, body: Any = None, *, token: str = "", **kwargs: Any) -> TestResponse:
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

    def revoked(self, access_token: str) -> bool:
        """Whether the gateway would refuse this token, by the feed alone."""
        claims = self.claims(access_token)
        of = {"session": "sid", "identity": "sub", "member": "mid"}
        return any(
            claims[of[e["kind"]]] == e["key"] and claims["iat"] < e["before"] for e in self.feed()["entries"]
        )

    def claims(self, access_token: str) -> dict[str, Any]:
        return self.app.extensions["door"].verifier.verify(access_token)

    # --- in short

    def provider(self) -> str:
        """A provider; its owner's access token."""
        if application.bootstrap(self.settings, self.database) is None:
            raise AssertionError("there was one")
        return self.log_in("admin@example.com")["access_token"]

    def customer(self, address: str = "olga@customer.example", *, provider_id: str = "", **more: Any) -> str:
        """A customer that is open, its owner invited."""
        organization_id = ids.new("org")
        known = {"name": "Acme Ltd", "given_name": "Olga", "family_name": "Owner", "managed_by": "provider"} | more
        self.hear(org.InviteOwner(
            organization_id=organization_id, provider_id=provider_id or ids.new("org"), email=address, **known
        ))
        self.hear(org.OrganizationActivated(organization_id=organization_id, provider_id=provider_id))
        return organization_id

    def accept(self, address: str, password: str | None = PASSWORD) -> None:
        body = {"password": password} if password else {}
        answer = self.call("POST", f"/v1/verifications/{self.link(address)}", body)
        assert answer.status_code == 201, answer.text

    def owner(self, address: str = "olga@customer.example", **more: Any) -> tuple[str, str]:
        """An open customer whose owner is logged in: organization and access token."""
        organization_id = self.customer(address, **more)
        self.accept(address)
        return organization_id, self.log_in(address, organization_id=organization_id)["access_token"]


class Clock:
    """The time of the test; it passes by itself and can be moved on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_(self, **time: float) -> None:
        self.ahead += timedelta(**time)


def _callers(**secrets: str) -> str:
    import hashlib

    return ",".join(f"{name}={hashlib.sha256(secret.encode()).hexdigest()}" for name, secret in secrets.items())


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "now", made.now)
    return made


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("membership") / "empty.db"
    migrate.upgrade(application.SERVICE.migrations, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(request: pytest.FixtureRequest) -> Any:
    made = request.getfixturevalue("postgres").fresh_database("membership")
    migrate.upgrade(application.SERVICE.migrations, made.owner_url)
    return made


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = tmp_path / "membership.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        made = Database(f"sqlite:///{path}")
    else:
        urls = request.getfixturevalue("migrated_postgres")
        _empty(urls.owner_url)
        made = Database(urls.app_url)
    yield made
    made.close()


def _empty(url: str) -> None:
    database = Database(url, pool_size=1)
    with database.engine.begin() as connection:
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        names = ", ".join(name for name in tables if name != "alembic_version")
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    database.close()


@pytest.fixture
def world(database: Database, tmp_path: Path, moving: Clock) -> World:
    return World(database, tmp_path / "mails", moving)
