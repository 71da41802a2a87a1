"""Org on both databases: the messages of the other services are put into its inbox, people call it
with tokens."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chassis.auth.actor import Actor
from chassis.db.database import Database
from chassis.db.unit_of_work import write_collected
from chassis.http.client import ServiceResponse
from chassis.messaging import outbox
from chassis.messaging.envelope import Delivery
from chassis.messaging.inbox import Inbox
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import ids
from chassis.runtime.settings import Secret
from contracts import Message, billing, membership
from joserfc import jwt
from joserfc.jwk import OKPKey
from org import queries, sagas
from org.app import SERVICE
from org.config import Settings
from org.models import Organization
from org.web import create_app
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.databases import ENGINES, PreparedDatabases, migrated

KEY = OKPKey.generate_key("Ed25519", {"kid": "test"})
STAFF = Actor(kind="staff", id="mem_staff", label="Stella Staff")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedDatabases]:
    made = PreparedDatabases(tmp_path_factory.mktemp("prepared"))
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def database(
    request: pytest.FixtureRequest, prepared_databases: PreparedDatabases, tmp_path: Path
) -> Iterator[Database]:
    with migrated(
        SERVICE,
        request.param,
        prepared_databases=prepared_databases,
        folder=tmp_path,
        postgres=lambda: request.getfixturevalue("postgres"),
    ) as made:
        yield made


@dataclass
class InternalClient:
    """Billing or membership as org calls it; ``response`` is its closing check."""

    response: dict[str, Any] = field(default_factory=lambda: {"blockers": [], "warnings": []})

    def send(
        self, _method: str, path: str, _headers: Any, _body: bytes | None = None
    ) -> ServiceResponse:
        body = (
            {"keys": [KEY.as_dict(private=False)]} if path.endswith("jwks.json") else self.response
        )
        return ServiceResponse(200, {}, json.dumps(body).encode())


class World:
    """One org service."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.provider, self.now = ids.new("org"), NOON
        self.billing, self.membership = InternalClient(), InternalClient()
        settings = Settings(database_url=Secret(database.url), billing_url="", membership_url="")
        transports = {"billing": self.billing, "membership": self.membership}
        self.client = create_app(settings, database, transports).test_client()
        self.inbox = Inbox(database, SERVICE.listeners)
        self.consume(
            membership.ProviderCreated(
                organization_id=self.provider,
                name="Provider",
                country="DE",
                currency="EUR",
                timezone="Europe/Berlin",
                owner=owner("boss@provider.example"),
            )
        )

    # --- messages

    def consume(self, message: Message) -> None:
        """Another service publishes this."""
        raw, published_by, _ = self.delivery(message)
        self.inbox.receive(raw, published_by=published_by)
        assert self.inbox.dead_letters() == []

    def delivery(self, message: Message) -> Delivery:
        """A message of another service, as the broker delivers it."""
        with self.database.transaction() as session:
            message_id = outbox.publish(session, message)
            write_collected(session)
            row = session.scalars(select(OutboxRow).where(OutboxRow.id == message_id)).one()
            body = row.body
            session.delete(row)
        return Delivery(body, message.producer())

    def published(self, *kinds: type[Message]) -> list[Any]:
        """The messages of these kinds that org has published, in order."""
        with self.database.reading() as session:
            rows = session.scalars(
                select(OutboxRow)
                .where(OutboxRow.type.in_([k.TYPE for k in kinds]))
                .order_by(OutboxRow.seq)
            )
            by_type = {kind.TYPE: kind for kind in kinds}
            return [by_type[row.type].load(json.loads(row.body)["data"]) for row in rows]

    # --- actions

    def run(self, what: Any, **how: Any) -> Any:
        """Run an action in a transaction of its own."""
        with self.database.transaction() as session:
            return what(session, **how)

    def organization(self, organization_id: str) -> Organization:
        with self.database.reading() as session:
            return queries.organization(session, organization_id)

    def deletion(self, organization_id: str) -> Any:
        with self.database.reading() as session:
            return queries.latest_deletion(session, organization_id)

    # --- HTTP

    def token(
        self, *, role: str = "owner", org: str | None = None, act: Any = None, **more: Any
    ) -> str:
        now = int(time.time())
        claims = (
            {
                "iss": "clientele",
                "aud": "clientele",
                "sub": "idn_one",
                "org": org or self.provider,
                "role": role,
                "kind": "customer" if org and org != self.provider else "provider",
                "sid": "ses_one",
                "name": "Somebody",
                "iat": now,
                "nbf": now,
                "exp": now + 300,
            }
            | ({"act": act} if act else {})
            | more
        )
        return jwt.encode(
            {"alg": "Ed25519", "typ": "at+jwt", "kid": "test"}, claims, KEY, algorithms=["Ed25519"]
        )

    def call(
        self, method: str, path: str, body: Any = None, *, headers: Any = None, **who: Any
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token(**who)}"} | (headers or {})
        return self.client.open(f"/v1{path}", method=method, json=body, headers=sent)

    def reply(self, message: Message, now: datetime | None = None) -> None:
        """A saga receives this reply at ``now``, past the inbox."""
        self.run(sagas.receive_reply, message=message, now=now or self.now)

    # --- scenes

    def customer(self, **other: Any) -> str:
        """A customer still in provisioning."""
        known: dict[str, Any] = {
            "name": "Acme Ltd",
            "country": "DE",
            "currency": "EUR",
            "timezone": "Europe/Berlin",
            "pricing_model": "app",
            "payment_mode": "prepaid",
            "billing": {"email": "bills@acme.example"},
            "owner": {"given_name": "Olga", "family_name": "Owner", "email": "olga@acme.example"},
        }
        return self.run(
            sagas.start_opening,
            provider_id=self.provider,
            now=self.now,
            by=STAFF,
            **(known | other),
        ).id

    def active(self, **other: Any) -> str:
        """An active customer."""
        customer = self.customer(**other)
        self.reply(billing.AccountOpened(organization_id=customer))
        self.reply(membership.OwnerInvited(organization_id=customer, owner=owner()))
        return customer

    def set_status(self, organization_id: str, status: str) -> None:
        """Set a status, bypassing all rules."""
        with self.database.transaction() as session:
            queries.organization(session, organization_id).status = status

    def request_deletion(self, customer: str) -> str:
        """Request its deletion."""
        return self.run(
            sagas.start_deletion, organization_id=customer, now=self.now, by=STAFF, reason="bye"
        ).id

    def schedule_deletion(self, customer: str) -> str:
        """Request its deletion and have it scheduled."""
        deletion_id = self.request_deletion(customer)
        self.reply(billing.AccountClosed(organization_id=customer, deletion_id=deletion_id))
        self.reply(membership.AccessEnded(organization_id=customer, deletion_id=deletion_id))
        return deletion_id


def owner(address: str = "olga@acme.example") -> membership.Owner:
    return membership.Owner(
        member_id=ids.new("mem"),
        given_name="Olga",
        family_name="Owner",
        email=address,
        verified=True,
    )


def balance(
    customer: str, provider: str, *, usable: str, as_of: datetime, days: int | None = None
) -> billing.BalanceChanged:
    return billing.BalanceChanged(
        organization_id=customer,
        provider_id=provider,
        currency="EUR",
        payment_mode="prepaid",
        status="open",
        usable_credits=usable,
        balance=usable,
        credit_limit="0.00",
        reserved_credits="0.00",
        amount_due="0.00",
        days_to_empty=days,
        as_of=as_of.isoformat(),
    )


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
