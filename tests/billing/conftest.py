"""Billing on both its databases, and people of every role with tokens for it."""

import functools
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from billing import actions
from billing.actions.accounts import payment_methods
from billing.app import SERVICE, create_app
from billing.config import Settings
from billing.jobs import JOBS
from billing.models import Account, CreditNote, Entry, Invoice, Payment, Reservation
from billing.values import Code, parse_money
from chassis.auth.actor import Actor
from chassis.db import migrations
from chassis.db.database import Database
from chassis.http.client import Answer
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import clock, ids
from chassis.runtime.settings import Secret
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from tests.databases import be_patient

CLERK = Actor(kind="staff", id="mem_clerk", label="Clara Clerk")
KEY = OKPKey.generate_key("Ed25519", {"kid": "test"})
SECRET = "org's own secret"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("billing") / "billing.db"
    migrations.upgrade(SERVICE.migrations, f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}", pool_size=8)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_database(postgres: Any) -> Iterator[Database]:
    made = be_patient(postgres, postgres.fresh_database("billing"))
    migrations.upgrade(SERVICE.migrations, made.owner_url)
    database = Database(made.app_url, pool_size=20)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Billing's database; the same one for all tests, so each works with organizations of its
    own."""
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
                session,
                organization_id=organization_id,
                provider_id=self.provider_id,
                name="Acme",
                country="SG",
                currency=currency,
                timezone="Asia/Singapore",
                payment_mode=mode,
                credit_limit=parse_money(limit, zero=True),
                billing={"email": "bills@acme.example"},
                buyer_tags={},
                now=clock.now(),
            )
        return organization_id

    def token(
        self, kind: str = "provider", role: str = "owner", org: str | None = None, **claims: Any
    ) -> str:
        now = int(time.time())
        standard = {
            "iss": "clientele",
            "aud": "clientele",
            "sub": "mem_somebody",
            "org": org or self.provider_id,
            "kind": kind,
            "role": role,
            "sid": "ses_1",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": "1",
        }
        header = {"alg": "Ed25519", "kid": "test", "typ": "at+jwt"}
        return jwt.encode(header, {**standard, **claims}, KEY, algorithms=["Ed25519"])

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        key: str | None = "",
        **headers: str,
    ) -> TestResponse:
        """A request; as the provider's owner, with a fresh Idempotency-Key, unless said
        otherwise."""
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        sent["Authorization"] = f"Bearer {token or self.token()}"
        if key is not None and method == "POST":
            sent["Idempotency-Key"] = key or f"key-{next(_numbers)}"
        return self.client.open(path, method=method, json=body, headers=sent)

    def act(self, act: Callable[..., Any], **arguments: Any) -> Any:
        """An action in a transaction of its own, by the clerk, now."""
        with self.database.transaction() as session:
            return act(session, now=clock.now(), by=CLERK, **arguments)

    def post(
        self, organization_id: str, what: str, body: dict[str, Any], **options: Any
    ) -> TestResponse:
        """A POST under the organization's account."""
        return self.call(
            "POST", f"/v1/organizations/{organization_id}/account/{what}", body, **options
        )

    def top_up(self, organization_id: str, amount: str, method: str = "cash") -> dict[str, Any]:
        return self._posted(organization_id, "top-ups", {"amount": amount, "method": method})

    def charge(self, organization_id: str, amount: str, **more: Any) -> dict[str, Any]:
        body = {"amount": amount, "kind": "usage", "description": "Calls", **more}
        return self._posted(organization_id, "charges", body)

    def withdraw(self, organization_id: str, amount: str) -> dict[str, Any]:
        return self._posted(
            organization_id, "withdrawals", {"amount": amount, "method": "cash", "reason": "leaves"}
        )

    def adjust(self, organization_id: str, amount: str, kind: str = "correction") -> dict[str, Any]:
        return self._posted(
            organization_id, "adjustments", {"amount": amount, "kind": kind, "reason": "agreed"}
        )

    def store_card(self, organization_id: str) -> None:
        with self.database.transaction() as session:
            session.get_one(Account, organization_id).payment_method = {
                "brand": "visa",
                "last4": "4242",
            }

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

    def books(self, organization_id: str) -> list[Any]:
        """Every row of money of an organization, as it is stored."""
        with self.database.reading() as session:
            return [
                tuple(row)
                for table in (Account, Entry, Invoice, CreditNote, Payment, Reservation)
                for row in session.execute(
                    select(*table.__table__.columns)
                    .where(table.organization_id == organization_id)
                    .order_by(*table.__table__.primary_key)
                )
            ]

    def tick(self, *jobs: str, now: datetime | None = None) -> None:
        """Let the clock do these jobs, for as long as they find something; what was noted is said
        unless named."""
        for job in JOBS:
            if job.name in (jobs or ("publish_balances", "publish_low_credits")):
                while job.run(self.database, now or clock.now(), None):
                    pass

    def said(self, aggregate: str) -> list[tuple[str, dict[str, Any]]]:
        """What was said about an aggregate, oldest first: type without service and version, and
        data."""
        with self.database.reading() as session:
            rows = session.scalars(
                select(OutboxRow)
                .where(OutboxRow.aggregate == aggregate)
                .order_by(OutboxRow.version)
            )
            return [(row.type.split(".")[1], json.loads(row.body)["data"]) for row in rows]

    def last_said(self, aggregate: str, name: str) -> dict[str, Any]:
        return [data for said, data in self.said(aggregate) if said == name][-1]


class StoredCards:
    """A provider of card payments, as one would be plugged in."""

    source = Code.WALLET

    def check(self, account: Account) -> None:
        if not account.payment_method:
            raise payment_methods.PaymentMethodMissing()


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards can be used by the accounts that have one stored."""
    monkeypatch.setitem(payment_methods.METHODS, "card", StoredCards())


class _Issuer:
    """Membership, as far as billing asks it."""

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        return Answer(200, {}, json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())


@functools.cache
def _app(database: Database) -> Flask:
    """Plugged together once for each database: that takes longer than many a test."""
    settings = Settings(
        database_url=Secret(database.url),
        membership_url="",
        internal_callers=f"org={hashlib.sha256(SECRET.encode()).hexdigest()}",
    )
    return create_app(settings, database, {"membership": _Issuer()})


@pytest.fixture
def world(database: Database) -> World:
    made = World(database, _app(database).test_client())
    with database.transaction() as session:
        actions.register_provider(
            session,
            provider_id=made.provider_id,
            name="Provider",
            country="SG",
            currency="SGD",
            timezone="Asia/Singapore",
        )
    return made


@pytest.fixture
def owner(request: pytest.FixtureRequest, world: World) -> Iterator[Database]:
    """The world's database for whoever owns its tables, who is no superuser."""
    if world.database.is_sqlite:
        yield world.database
        return
    url = request.getfixturevalue("postgres").url(world.database.url.rpartition("/")[2])
    made = Database(url)
    with made.engine.connect() as connection:
        login = connection.scalar(
            text("SELECT tableowner FROM pg_tables WHERE tablename = 'journal'")
        )
    made.close()
    made = Database(f"{url}?options=-c%20role%3D{login}")
    yield made
    made.close()
