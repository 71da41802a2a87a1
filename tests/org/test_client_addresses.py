"""From where something was done: in the audit log for 90 days, for those whom it concerns."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from chassis import audit
from chassis.runtime import ids
from contracts import billing, membership, org
from org import actions, sagas
from org.jobs import JOBS
from org.models import ClientAddress
from sqlalchemy import select

from tests.org.conftest import NOON, World

SUPPORT = {"kind": "support", "id": "idn_2", "label": "Jane", "acting": {"sub": "idn_staff"}}


def add_entry(
    world: World, customer: str, *, kind: str = "member", caller_of: str | None = None, **other: Any
) -> str:
    """Membership publishes a row of its audit about something done from 192.0.2.7."""
    entry_id = ids.new("evt")
    known = {
        "at": NOON.isoformat(),
        "action": "member.changed",
        "outcome": "ok",
        "actor": {"kind": kind, "id": "idn_1", "label": "Max"},
        "target": {},
        "changes": [],
        "hash": "0" * 64,
        "client_address": "192.0.2.7",
        "client_organization_id": caller_of,
    }
    world.consume(
        membership.AuditRecorded(
            organization_id=customer,
            provider_id=world.provider,
            entry_id=entry_id,
            **(known | other),
        )
    )
    return entry_id


def shown(world: World, customer: str, path: str = "audit", **who: Any) -> dict[str, Any]:
    """Entry -> the address that the reader gets."""
    response = world.call("GET", f"/organizations/{customer}/{path}", **who)
    assert response.status_code == 200, response.text
    return {row["id"]: row.get("client_address") for row in response.json["data"]}


def stored(world: World) -> list[str]:
    with world.database.reading() as session:
        return sorted(session.scalars(select(ClientAddress.id)))


def test_the_address_of_a_request_is_in_what_it_records(world: World) -> None:
    customer = world.active()
    base, headers = f"/organizations/{customer}", {"X-Forwarded-For": "2001:db8::7"}

    world.call("POST", f"{base}/suspend", {"reason": "x"}, headers=headers)  # a saga's transaction
    world.call("PATCH", "/settings", {"allow_refund": False}, headers=headers)
    world.call("POST", f"{base}/activate", {}, headers=headers, org=customer)  # denied

    done = {
        (entry.action, entry.outcome): (entry.client_address, entry.client_organization_id)
        for entry in world.published(org.AuditRecorded)
        if entry.client_address
    }
    assert done == {
        ("organization.suspended", "ok"): ("2001:db8::7", world.provider),
        ("settings.changed", "ok"): ("2001:db8::7", world.provider),
        ("organization.activate", "denied"): ("2001:db8::7", customer),
    }


def test_what_a_message_or_a_job_causes_has_no_address(world: World) -> None:
    world.active()

    assert {entry.client_address for entry in world.published(org.AuditRecorded)} == {None}


def test_staff_see_every_address_and_customers_those_of_their_own(world: World) -> None:
    customer = world.active()
    own = [
        add_entry(world, customer),
        add_entry(world, customer, kind="api_key", caller_of=customer),
    ]
    others = [
        add_entry(world, customer, kind="staff", caller_of=world.provider),
        add_entry(world, customer, kind="api_key", caller_of=world.provider),
        add_entry(world, customer, kind="api_key"),
        add_entry(world, customer, actor=SUPPORT, caller_of=customer),
    ]

    expected = dict.fromkeys(own, "192.0.2.7") | dict.fromkeys(others)
    assert shown(world, customer, org=customer) == expected
    assert shown(world, customer) == dict.fromkeys([*own, *others], "192.0.2.7")
    for who in ({}, {"org": customer}):
        assert set(shown(world, customer, "timeline", **who).values()) == {None}


def test_the_file_has_the_addresses_that_its_reader_may_see(world: World) -> None:
    customer = world.active()
    own, theirs = add_entry(world, customer), add_entry(world, customer, kind="staff")

    def lines(**who: Any) -> dict[str, str]:
        text = world.call(
            "GET", f"/organizations/{customer}/audit", headers={"Accept": "text/csv"}, **who
        ).text
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return {row["id"]: row["client_address"] for row in rows}

    assert lines() == {own: "192.0.2.7", theirs: "192.0.2.7"}
    assert lines(org=customer) == {own: "192.0.2.7", theirs: ""}


def test_addresses_are_deleted_after_90_days_and_the_entries_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions.client_addresses, "MAX_BATCH", 2)
    customer = world.active()
    old = [
        add_entry(world, customer, at=(NOON - timedelta(days=90, seconds=age)).isoformat())
        for age in (1, 2, 3)
    ]
    kept = add_entry(world, customer, at=(NOON - timedelta(days=90)).isoformat())
    job = next(job for job in JOBS if job.name == "delete_client_addresses")

    deleted = [job.run(world.database, NOON, None) for _ in range(3)]

    assert deleted == [2, 1, 0]
    assert stored(world) == [kept]
    assert shown(world, customer) == dict.fromkeys(old) | {kept: "192.0.2.7"}


def test_an_erased_organization_has_no_addresses_and_gets_none(world: World) -> None:
    customer, other = world.active(), world.active()
    add_entry(world, customer)
    kept = add_entry(world, other)
    deletion_id = world.schedule_deletion(customer)
    world.run(sagas.purge_due, now=world.deletion(customer).purge_at)
    world.reply(billing.AccountSealed(organization_id=customer, deletion_id=deletion_id), NOON)
    world.reply(membership.MembersErased(organization_id=customer, deletion_id=deletion_id), NOON)

    add_entry(world, customer)  # late

    assert stored(world) == [kept]
    headers = {"X-Forwarded-For": "192.0.2.7"}
    world.call(
        "POST",
        f"/organizations/{customer}/suspend",
        {"reason": "x"},
        role="viewer",
        headers=headers,
    )
    denied = world.published(org.AuditRecorded)[-1]
    assert (denied.outcome, denied.client_address) == ("denied", None)
    assert "192.0.2.7" not in json.dumps(denied.dump())
    with world.database.reading(snapshot=True) as session:
        assert list(audit.verify(session, customer)) == []
