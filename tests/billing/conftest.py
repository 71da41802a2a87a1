"""Billing on both its databases, and people of every role with tokens for it."""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from billing import actions
from billing.app import SERVICE, create_app
from billing.config import Settings
from billing.values import parse_money
from chassis import clock, ids, migrate
from chassis.actor import Actor
from chassis.client import Answer
from chassis.config import Secret
from chassis.outbox import OutboxRow
from chassis.sql import Database
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import select
from werkzeug.test import TestResponse

CLERK = Actor(kind="staff", id="mem_clerk", label="Clara Clerk")
KEY = OKPKey.generate_key("Ed25519", {"kid": "test"})
SECRET = "org's own secret"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("billing") / "billing.db"
    migrate.upgrade(SERVICE.migrations, f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}", pool_size=8)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_database(postgres: Any) -> Iterator[Database]:
    made = postgres.fresh_database("billing")
    migrate.upgrade(SERVICE.migrations, made.owner_url)
    database = Database(made.app_url, pool_size=20)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Billing's database; the same one for all tests, so each works with organizations of its own."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    return request.getfixturevalue(name)


@dataclass
class World:
    """One provider, and as many customers as a test opens."""

    database: Database
    client: FlaskClient
    provider_id: str = field(default_factory=lambda: ids.new("org"))

    def open(self, mode: str = "prepaid", limit: str = "0", currency: str = "SGD") -> str:
        """The organization of a customer with an account."""
        organization_id = ids.new("org")
        with self.database.transaction() as session:
            actions.open_account(
                session, organization_id=organization_id, provider_id=self.provider_id, name="Acme", country="SG",
                currency=currency, timezone="Asia/Singapore", payment_mode=mode,
                credit_limit=parse_money(limit, zero=True), billing={"email": "bills@acme.example"}, buyer_tags={},
                now=clock.now(),
            )
        return organization_id

    def token(self, kind: str = "provider", role: str = "owner", org: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        standard = {
            "iss": "clientele", "aud": "clientele", "sub": "mem_somebody", "org": org or self.provider_id,
            "kind": kind, "role": role, "sid": "ses_1", "iat": now, "nbf": now, "exp": now + 300, "jti": "1",
        }
        header = {"alg": "Ed25519", "kid": "test", "typ": "at+jwt"}
        return jwt.encode(header, {**standard, **claims}, KEY, algorithms=["Ed25519"])

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, key: str | None = "",
        **headers: str,
    ) -> TestResponse:
        """A request; as the provider's owner, with a fresh Idempotency-Key, unless said otherwise."""
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        sent["Authorization"] = f"Bearer {token or self.token()}"
        if key is not None and method == "POST":
            sent["Idempotency-Key"] = key or f"key-{next(_numbers)}"
        return self.client.open(path, method=method, json=body, headers=sent)

    def act(self, act: Callable[..., Any], **arguments: Any) -> Any:
        """An action in a transaction of its own, by the clerk, now."""
        with self.database.transaction() as session:
            return act(session, now=clock.now(), by=CLERK, **arguments)

    def post(self, organization_id: str, what: str, body: dict[str, Any], **options: Any) -> TestResponse:
        """A POST under the organization's account."""
        return self.call("POST", f"/v1/organizations/{organization_id}/account/{what}", body, **options)

    def top_up(self, organization_id: str, amount: str, method: str = "cash") -> dict[str, Any]:
        return self._posted(organization_id, "top-ups", {"amount": amount, "method": method})

    def charge(self, organization_id: str, amount: str, **more: Any) -> dict[str, Any]:
        body = {"amount": amount, "kind": "usage", "description": "Calls", **more}
        return self._posted(organization_id, "charges", body)

    def withdraw(self, organization_id: str, amount: str) -> dict[str, Any]:
        return self._posted(organization_id, "withdrawals", {"amount": amount, "method": "cash", "reason": "leaves"})

    def adjust(self, organization_id: str, amount: str, kind: str = "correction") -> dict[str, Any]:
        return self._posted(organization_id, "adjustments", {"amount": amount, "kind": kind, "reason": "agreed"})

    def patch(self, organization_id: str, body: dict[str, Any], **options: Any) -> TestResponse:
        return self.call("PATCH", f"/v1/organizations/{organization_id}/account", body, **options)

    def _posted(self, organization_id: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.post(organization_id, what, body)
        assert answer.status_code == 201, answer.json
        return answer.json

    def account(self, organization_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/organizations/{organization_id}/account")
        assert answer.status_code == 200, answer.json
        return answer.json

    def said(self, aggregate: str) -> list[tuple[str, dict[str, Any]]]:
        """What was said about an aggregate, oldest first: type without service and version, and data."""
        with self.database.reading() as session:
            rows = session.scalars(
                select(OutboxRow).where(OutboxRow.aggregate == aggregate).order_by(OutboxRow.version)
            )
            return [(row.type.split(".")[1], json.loads(row.body)["data"]) for row in rows]

    def last_said(self, aggregate: str, name: str) -> dict[str, Any]:
        return [data for said, data in self.said(aggregate) if said == name][-1]


class _Issuer:
    """Membership, as far as billing asks it."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        return Answer(200, {}, json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())


@pytest.fixture
def world(database: Database) -> World:
    settings = Settings(
        database_url=Secret(database.url), membership_url="",
        internal_callers=f"org={hashlib.sha256(SECRET.encode()).hexdigest()}",
    )
    app = create_app(settings, database, {"membership": _Issuer()})
    made = World(database, app.test_client())
    with database.transaction() as session:
        actions.remember_provider(
            session, provider_id=made.provider_id, name="Provider", country="SG", currency="SGD",
            timezone="Asia/Singapore",
        )
    return made
