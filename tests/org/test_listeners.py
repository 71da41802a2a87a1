"""What org remembers of what the others say: the projection the list is made of, the trail, the
settings."""

import json
from datetime import timedelta

import pytest
from chassis.runtime import ids
from contracts import Message, billing, membership, org, parts
from org.models import TrailEntry
from org.values import NEVER_EMPTY
from sqlalchemy import select

from tests.org.conftest import NOON, World, balance, owner

pytestmark = pytest.mark.both_databases


def listed(world: World, one: str) -> dict:
    rows = world.call("GET", "/organizations").json["data"]
    return next(row["summary"] for row in rows if row["id"] == one)


def test_the_figures_of_the_latest_word_from_billing_are_kept(world: World) -> None:
    one = world.active()

    world.hear(balance(one, world.provider, usable="12.345678", as_of=NOON, days=3))

    summary = listed(world, one)
    assert (summary["usable_credits"], summary["balance"]) == ("12.345678", "12.345678")
    assert summary["days_to_empty"] == 3
    assert summary["as_of"] == "2026-03-01T12:00:00.000000Z"
    assert world.found(one).usable_units == 12_345_678


@pytest.mark.parametrize(("seconds", "expected"), [(-1, "5.00"), (0, "9.00"), (1, "9.00")])
def test_an_older_word_never_replaces_a_newer_one(
    world: World, seconds: int, expected: str
) -> None:
    one = world.active()
    world.hear(balance(one, world.provider, usable="5.00", as_of=NOON))

    world.hear(balance(one, world.provider, usable="9.00", as_of=NOON + timedelta(seconds=seconds)))

    assert listed(world, one)["usable_credits"] == expected


def test_what_never_runs_out_sorts_last_and_is_shown_as_nothing(world: World) -> None:
    one = world.active()

    world.hear(balance(one, world.provider, usable="5.00", as_of=NOON, days=None))

    assert world.found(one).days_to_empty == NEVER_EMPTY
    assert listed(world, one)["days_to_empty"] is None


def test_members_and_the_owner_follow_membership(world: World) -> None:
    one = world.active()
    new = owner("nora@acme.example")

    world.hear(membership.MembersChanged(organization_id=one, members=7, admins=2, owner=new))

    assert (listed(world, one)["members"], listed(world, one)["admins"]) == (7, 2)
    assert world.found(one).owner["email"] == "nora@acme.example"
    assert len(world.call("GET", "/organizations?q=NORA@").json["data"]) == 1


def test_a_tombstone_takes_no_personal_data_any_more(world: World) -> None:
    one = world.active()
    world.put(one, "deleted")
    before = world.found(one).owner

    world.hear(
        membership.MembersChanged(
            organization_id=one, members=1, admins=0, owner=owner("late@acme.example")
        )
    )

    assert world.found(one).owner == before


def test_a_provider_is_made_once(world: World) -> None:
    world.hear(
        membership.ProviderCreated(
            organization_id=world.provider,
            name="Another",
            country="FR",
            currency="EUR",
            timezone="Europe/Paris",
            owner=owner(),
        )
    )

    assert world.found(world.provider).name == "Provider"


def audited(said_as: type[parts.AuditRecorded], one: str, world: World, entry: str = "") -> Message:
    return said_as(
        organization_id=one,
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
    "said_as", [org.AuditRecorded, billing.AuditRecorded, membership.AuditRecorded]
)
def test_a_row_of_any_services_audit_is_kept_once(
    world: World, said_as: type[parts.AuditRecorded]
) -> None:
    one, entry = world.active(), ids.new("evt")

    world.hear(audited(said_as, one, world, entry))
    world.hear(audited(said_as, one, world, entry))

    with world.database.reading() as session:
        (row,) = session.scalars(select(TrailEntry).where(TrailEntry.organization_id == one)).all()
    assert (row.id, row.service) == (entry, said_as.producer())


def test_settings_are_in_force_when_both_services_have_said_so(world: World) -> None:
    world.call("PATCH", "/settings", {"managed_service": True})

    def heard(kind: type[Message], version: int) -> list[str]:
        world.hear(kind(provider_id=world.provider, version=version))
        return world.call("GET", "/settings").json["applied_by"]

    assert heard(billing.SettingsApplied, 1) == ["billing"]
    assert heard(membership.SettingsApplied, 1) == ["billing", "membership"]
    assert world.call("PATCH", "/settings", {"managed_service": False}).json["applied_by"] == []
    assert heard(billing.SettingsApplied, 2) == ["billing"]
    assert heard(billing.SettingsApplied, 1) == ["billing"]


def test_every_message_org_must_hear_has_a_listener(world: World) -> None:
    from contracts.message import every_message

    must = {kind for kind in every_message() if "org" in kind.CONSUMERS}

    assert must == set(world.inbox.listeners)
    assert json.dumps(sorted(kind.TYPE for kind in must))
