"""What org keeps of the other services: figures for the list, the audit, applied settings."""

import json
from datetime import timedelta

import pytest
from chassis.runtime import ids
from contracts import Message, billing, membership, org, parts
from org.models import TrailEntry
from org.values import NEVER_EMPTY
from sqlalchemy import select

from tests.databases import counted
from tests.org.conftest import NOON, World, balance, owner

pytestmark = pytest.mark.both_databases


def listed(world: World, customer: str) -> dict:
    rows = world.call("GET", "/organizations").json["data"]
    return next(row["summary"] for row in rows if row["id"] == customer)


def test_the_latest_figures_of_billing_are_kept(world: World) -> None:
    customer = world.active()

    world.consume(balance(customer, world.provider, usable="12.345678", as_of=NOON, days=3))

    summary = listed(world, customer)
    assert (summary["usable_credits"], summary["balance"]) == ("12.345678", "12.345678")
    assert summary["days_to_empty"] == 3
    assert summary["as_of"] == "2026-03-01T12:00:00.000000Z"
    assert world.organization(customer).usable_units == 12_345_678


@pytest.mark.parametrize(("seconds", "expected"), [(-1, "5.00"), (0, "9.00"), (1, "9.00")])
def test_older_figures_never_replace_newer_ones(world: World, seconds: int, expected: str) -> None:
    customer = world.active()
    world.consume(balance(customer, world.provider, usable="5.00", as_of=NOON))

    world.consume(
        balance(customer, world.provider, usable="9.00", as_of=NOON + timedelta(seconds=seconds))
    )

    assert listed(world, customer)["usable_credits"] == expected


def test_figures_and_audit_of_many_organizations_take_few_statements(world: World) -> None:
    customers = [world.active() for _ in range(12)]

    def messages(count: int, usable: str) -> list[Message]:
        return [
            message
            for customer in customers[:count]
            for message in (
                balance(customer, world.provider, usable=usable, as_of=NOON),
                audit_row(customer),
                audit_row(customer),
            )
        ]

    counts = []
    for count, usable in ((2, "1.00"), (12, "2.00")):
        deliveries = [world.delivery(message) for message in messages(count, usable)]
        with counted(world.database) as seen:
            assert world.inbox.receive_together(deliveries)
        counts.append(len(seen))

    assert counts[1] <= counts[0] + 2
    assert counts[1] < 20
    assert {listed(world, customer)["usable_credits"] for customer in customers} == {"2.00"}
    with world.database.reading() as session:
        entries = list(session.scalars(select(TrailEntry).where(TrailEntry.service == "billing")))
    assert len(entries) == 28


def audit_row(customer: str) -> billing.AuditRecorded:
    return billing.AuditRecorded(
        organization_id=customer,
        provider_id=ids.new("org"),
        entry_id=ids.new("evt"),
        at="2026-03-01T12:00:00.000000Z",
        action="charge.created",
        outcome="ok",
        actor={"kind": "member", "id": ids.new("idn"), "label": "Olga"},
        target={"type": "organization", "id": customer, "label": "Acme"},
        changes=[],
        hash="0" * 64,
    )


def test_credits_that_never_run_out_sort_last_and_show_null(world: World) -> None:
    customer = world.active()

    world.consume(balance(customer, world.provider, usable="5.00", as_of=NOON, days=None))

    assert world.organization(customer).days_to_empty == NEVER_EMPTY
    assert listed(world, customer)["days_to_empty"] is None


def test_members_and_the_owner_follow_membership(world: World) -> None:
    customer = world.active()
    new = owner("nora@acme.example")

    world.consume(
        membership.MembersChanged(organization_id=customer, members=7, admins=2, owner=new)
    )

    assert (listed(world, customer)["members"], listed(world, customer)["admins"]) == (7, 2)
    assert world.organization(customer).owner["email"] == "nora@acme.example"
    assert len(world.call("GET", "/organizations?q=NORA@").json["data"]) == 1


def test_a_tombstone_accepts_no_personal_data(world: World) -> None:
    customer = world.active()
    world.set_status(customer, "deleted")
    before = world.organization(customer).owner

    world.consume(
        membership.MembersChanged(
            organization_id=customer, members=1, admins=0, owner=owner("late@acme.example")
        )
    )

    assert world.organization(customer).owner == before


def test_a_provider_is_created_once(world: World) -> None:
    world.consume(
        membership.ProviderCreated(
            organization_id=world.provider,
            name="Another",
            country="FR",
            currency="EUR",
            timezone="Europe/Paris",
            owner=owner(),
        )
    )

    assert world.organization(world.provider).name == "Provider"


def audited(
    kind: type[parts.AuditRecorded], customer: str, world: World, entry: str = ""
) -> Message:
    return kind(
        organization_id=customer,
        provider_id=world.provider,
        entry_id=entry or ids.new("evt"),
        at="2026-03-01T12:00:00.000000Z",
        action="member.disabled",
        outcome="ok",
        actor={"kind": "staff", "id": "x"},
        target={},
        changes=[],
        hash="0" * 64,
    )


@pytest.mark.parametrize(
    "kind", [org.AuditRecorded, billing.AuditRecorded, membership.AuditRecorded]
)
def test_an_audit_row_of_any_service_is_kept_once(
    world: World, kind: type[parts.AuditRecorded]
) -> None:
    customer, entry = world.active(), ids.new("evt")

    world.consume(audited(kind, customer, world, entry))
    world.consume(audited(kind, customer, world, entry))

    with world.database.reading() as session:
        (row,) = session.scalars(
            select(TrailEntry).where(TrailEntry.organization_id == customer)
        ).all()
    assert (row.id, row.service) == (entry, kind.producer())


def test_settings_are_applied_when_both_services_report_it(world: World) -> None:
    world.call("PATCH", "/settings", {"managed_service": True})

    def applied(kind: type[Message], version: int) -> list[str]:
        world.consume(kind(provider_id=world.provider, version=version))
        return world.call("GET", "/settings").json["applied_by"]

    assert applied(billing.SettingsApplied, 1) == ["billing"]
    assert applied(membership.SettingsApplied, 1) == ["billing", "membership"]
    assert world.call("PATCH", "/settings", {"managed_service": False}).json["applied_by"] == []
    assert applied(billing.SettingsApplied, 2) == ["billing"]
    assert applied(billing.SettingsApplied, 1) == ["billing"]


def test_every_message_that_org_consumes_has_a_listener(world: World) -> None:
    from contracts.message import every_message

    must = {kind for kind in every_message() if "org" in kind.CONSUMERS}

    assert must == set(world.inbox.listeners)
    assert json.dumps(sorted(kind.TYPE for kind in must))
