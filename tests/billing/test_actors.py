"""Who posted a transaction: in the journal for every kind, in the audit log once per batch of
usage."""

from datetime import datetime
from pathlib import Path

import pytest
from billing import actions
from billing.actions.ledger import bulk_writes
from billing.actions.usage.records import UsageRecord
from billing.app import SERVICE
from billing.models import Entry
from chassis.audit.models import AuditEntry
from chassis.auth.actor import SYSTEM
from chassis.db import migrations
from chassis.runtime import clock, ids
from sqlalchemy import create_engine, func, select, text

STAFF = {"kind": "staff", "id": "mem_somebody"}


def actors(world, org, **headers):
    path = f"/v1/organizations/{org}/account/transactions"
    shown = world.call("GET", path, **headers).json["data"]
    return {row["kind"]: row["actor"] for row in shown}


def audit_rows(world):
    """How many rows the provider's chain has in billing."""
    of_provider = AuditEntry.organization_id == world.provider_id
    with world.database.reading() as session:
        return session.scalar(select(func.count()).select_from(AuditEntry).where(of_provider))


def usage_body(world, *organization_ids):
    return {
        "records": [
            {
                "id": f"{org[-8:]}-{n}",
                "organization_id": org,
                "amount": "1",
                "at": clock.stamp(clock.now()),
                "description": "calls",
            }
            for n, org in enumerate(organization_ids)
        ]
    }


def test_every_transaction_shows_who_posted_it(world):
    org = world.open(limit="100")
    world.top_up(org, "10")
    world.post(org, "charges", {"amount": "1", "kind": "usage", "description": "x", "cost": "1"})
    world.post(org, "charges", {"amount": "1", "kind": "one_off", "description": "x"})
    for what in ("capture", "release"):
        held = world.post(org, "reservations", {"amount": "1", "description": "x"}).json
        world.post(org, f"reservations/{held['id']}/{what}", {})
    held = world.post(
        org, "reservations", {"amount": "1", "description": "x", "expires_in": 1}
    ).json
    with world.database.transaction() as session:
        while actions.expire_reservations(session, now=datetime.fromisoformat(held["expires_at"])):
            pass

    recorded = actors(world, org)

    assert recorded.pop("expiry") == {"kind": "system", "id": "system"}
    assert recorded == dict.fromkeys(
        ("top_up", "usage", "one_off", "reservation", "capture", "release"), STAFF
    )


def test_usage_names_the_key_and_is_one_row_of_the_audit_per_batch(world):
    orgs = [world.open(limit="100") for _ in range(3)]
    key = world.token(role="api_key", sub="key_meter", scope="usage:write", name="Meter")
    body = usage_body(world, *orgs)

    for _ in range(2):
        answer = world.call("POST", "/v1/usage", body, token=key)
        assert answer.status_code == 200, answer.text

    assert answer.json["duplicates"] == 3
    for org in orgs:
        assert actors(world, org) == {"usage": {"kind": "api_key", "id": "key_meter"}}
    assert audit_rows(world) == 1
    row = world.last_published(world.provider_id, "audit_recorded")
    assert (row["action"], row["actor"]["id"], row["actor"]["label"]) == (
        "usage.recorded",
        "key_meter",
        "Meter",
    )
    assert {change["field"]: change["after"] for change in row["changes"]} == {
        "records": "3",
        "customers": "3",
    }
    with world.database.reading() as session:
        posted = session.scalars(select(Entry.posted_at).where(Entry.organization_id == orgs[0]))
        assert row["at"] == clock.stamp(posted.one())


def test_a_refused_batch_leaves_no_audit_row(world):
    org = world.open()

    assert world.call("POST", "/v1/usage", usage_body(world, org)).json["accepted"] == 0

    assert audit_rows(world) == 0


def test_usage_from_the_broker_is_the_metering_services(world):
    org = world.open(limit="100")
    record = UsageRecord(world.provider_id, ids.new("evt"), org, 1_000_000, clock.now(), "x", 1)
    with world.database.transaction() as session:
        actions.record_usage_messages(session, [record], clock.now())

    assert actors(world, org) == {"usage": {"kind": "system", "id": "usage"}}


def test_a_customer_sees_who_took_the_money(world):
    org = world.open(limit="100")
    world.post(org, "charges", {"amount": "1", "kind": "usage", "description": "x"})
    owner = world.token(kind="customer", role="owner", org=org)

    assert actors(world, org, token=owner) == {"usage": STAFF}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("copy", [True, False])
def test_both_ways_of_writing_many_rows_keep_the_actor(world, copy, monkeypatch):
    monkeypatch.setattr(bulk_writes, "MAX_PLAIN_ROWS", 0 if copy else 1)
    org = world.open(limit="100")
    record = UsageRecord(world.provider_id, ids.new("evt"), org, 1_000_000, clock.now(), "x", 1)
    with world.database.transaction() as session:
        actions.record_usage(session, records=[record], now=clock.now(), by=SYSTEM)

    assert actors(world, org) == {"usage": {"kind": "system", "id": "system"}}


def test_transactions_from_before_have_no_actor(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0003")
    columns = (
        "organization_id, seq, transaction_id, part, provider_id, currency, kind, debit, credit, "
        "amount, moved, balance_after, prepaid_after, surplus_after, unbilled_after, "
        "invoiced_after, held_after, occurred_at, posted_at"
    )
    one, at = f"{1:032}", "'2026-01-01 00:00:00.000000'"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO journal ({columns}) VALUES ('{one}', 1, '{one}', 0, '{one}', 'SGD', "
                f"'top_up', 1, 2, 1, 1, 1, 1, 0, 0, 0, 0, {at}, {at})"
            )
        )

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        row = connection.execute(text("SELECT amount, actor_kind, actor_id FROM journal")).one()
    engine.dispose()
    assert tuple(row) == (1, None, None)


def test_the_address_of_a_request_is_in_its_audit_entry(world):
    org = world.open()

    world.post(
        org, "top-ups", {"amount": "1", "method": "cash"}, **{"X-Forwarded-For": "192.0.2.7"}
    )

    entry = world.last_published(org, "audit_recorded")
    assert (entry["action"], entry["client_address"]) == ("account.topped_up", "192.0.2.7")
