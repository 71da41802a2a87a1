"""Billing on both databases, and tokens for callers of every role."""

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
from billing.app import SERVICE
from billing.config import Settings
from billing.jobs import JOBS
from billing.models import Account, CreditNote, Entry, Invoice, Payment, Provider, Reservation
from billing.values import Code, parse_money
from billing.web import create_app
from chassis.auth.actor import Actor
from chassis.db import migrations
from chassis.db.database import Database
from chassis.http.client import ServiceResponse
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
    """Billing's database, shared by all tests, so each uses its own organizations."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    return request.getfixturevalue(name)


@dataclass
class World:
    """One provider, with the customers that a test opens."""

    database: Database
    client: FlaskClient
    provider_id: str = field(default_factory=lambda: ids.new("org"))

    def open(self, mode: str = "prepaid", limit: str = "0", currency: str = "SGD") -> str:
        """Open an account; returns the customer's organization id."""
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
        """A request; as the provider's owner, with a fresh Idempotency-Key, by default."""
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        sent["Authorization"] = f"Bearer {token or self.token()}"
        if key is not None and method == "POST":
            sent["Idempotency-Key"] = key or f"key-{next(_numbers)}"
        return self.client.open(path, method=method, json=body, headers=sent)

    def act(self, act: Callable[..., Any], **arguments: Any) -> Any:
        """Run an action in its own transaction, as the clerk, now."""
        with self.database.transaction() as session:
            return act(session, now=clock.now(), by=CLERK, **arguments)

    def post(
        self, organization_id: str, what: str, body: dict[str, Any], **options: Any
    ) -> TestResponse:
        """POST to a path below the organization's account."""
        return self.call(
            "POST", f"/v1/organizations/{organization_id}/account/{what}", body, **options
        )

    def settings(self, **settings: Any) -> None:
        """The provider's settings from now on; documents are not rounded unless they say so."""
        settings = {"document_rounding": "none", **settings}
        with self.database.transaction() as session:
            actions.apply_settings(
                session, provider_id=self.provider_id, version=next(_numbers), settings=settings
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
        response = self.post(organization_id, what, body)
        assert response.status_code == 201, response.json
        return response.json

    def account(self, organization_id: str) -> dict[str, Any]:
        response = self.call("GET", f"/v1/organizations/{organization_id}/account")
        assert response.status_code == 200, response.json
        return response.json

    def stored_rows(self, organization_id: str) -> list[Any]:
        """Every stored row about an organization's money."""
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

    def run_jobs(self, *jobs: str, now: datetime | None = None) -> None:
        """Run these jobs until they have nothing to do; by default those that publish balances."""
        for job in JOBS:
            if job.name in (jobs or ("publish_balances", "publish_low_credits")):
                while job.run(self.database, now or clock.now(), None):
                    pass

    def published(self, aggregate: str) -> list[tuple[str, dict[str, Any]]]:
        """The messages about an aggregate, oldest first: (type without service and version,
        data)."""
        with self.database.reading() as session:
            rows = session.scalars(
                select(OutboxRow)
                .where(OutboxRow.aggregate == aggregate)
                .order_by(OutboxRow.version)
            )
            return [(row.type.split(".")[1], json.loads(row.body)["data"]) for row in rows]

    def last_published(self, aggregate: str, name: str) -> dict[str, Any]:
        return [data for type_, data in self.published(aggregate) if type_ == name][-1]


class StoredCards:
    """A card payment provider."""

    source = Code.WALLET

    def check(self, account: Account) -> None:
        if not account.payment_method:
            raise payment_methods.PaymentMethodMissing()


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts that have a stored card can use it."""
    monkeypatch.setitem(payment_methods.METHODS, "card", StoredCards())


class _Issuer:
    """The part of membership that billing calls."""

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ServiceResponse:
        return ServiceResponse(200, {}, json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())


@functools.cache
def _app(database: Database) -> Flask:
    """Built once per database, because it takes longer than many tests."""
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
        session.get_one(Provider, made.provider_id).settings = {"document_rounding": "none"}
    return made


@pytest.fixture
def owner(request: pytest.FixtureRequest, world: World) -> Iterator[Database]:
    """The world's database as the owner of its tables, who is no superuser."""
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
