"""Figures that change all the time are said a few times a second, and the last ones always."""

import threading

import pytest
from billing import actions
from billing.actions.usage.records import UsageRecord
from billing.models import Account, UnpublishedBalance
from chassis.runtime import clock
from sqlalchemy import select

from tests.billing.test_concurrency import at_once, charge

pytestmark = pytest.mark.both_databases


def said(world, org):
    return [data for name, data in world.said(org) if name == "balance_changed"]


def unsaid(world, org):
    with world.database.reading() as session:
        return session.get(UnpublishedBalance, org) is not None


def test_many_charges_are_said_once_and_recorded_nowhere_but_in_the_journal(world):
    org = world.open(limit="10")
    before = world.said(org)
    for _ in range(5):
        world.charge(org, "1")
    world.charge(org, "1", external_invoice="A1")
    assert world.said(org) == before and unsaid(world, org)
    world.tick()
    world.tick()
    ((name, figures),) = world.said(org)[len(before) :]
    assert (name, figures["usable_credits"]) == ("balance_changed", "5.00")
    assert not unsaid(world, org)
    rows = world.call("GET", f"/v1/organizations/{org}/account/transactions").json["data"]
    assert len(rows) == 6


@pytest.mark.parametrize("kind", ["subscription", "one_off"])
def test_other_charges_are_recorded_and_said_at_once(world, kind):
    org = world.open(limit="10")
    world.charge(org, "1", kind=kind)
    assert [name for name, _ in world.said(org)][-2:] == ["audit_recorded", "balance_changed"]
    assert world.last_said(org, "audit_recorded")["action"] == "account.charged"


def test_what_fails_is_not_said(world):
    org = world.open(limit="1")
    assert (
        world.post(org, "charges", {"amount": "2", "kind": "usage", "description": "x"}).status_code
        == 409
    )
    assert not unsaid(world, org)


def test_where_nothing_has_changed_nothing_is_written(world, monkeypatch):
    world.tick()
    monkeypatch.setattr(world.database, "transaction", None)
    world.tick("publish_balances")


def test_more_accounts_than_fit_into_one_turn(world, monkeypatch):
    orgs = [world.open(limit="10") for _ in range(7)]
    world.tick()
    for org in orgs:
        world.charge(org, "1")
    monkeypatch.setattr("billing.queries.BATCH_SIZE", 3)
    monkeypatch.setattr("billing.queries.unpublished_balances.__defaults__", (3,))
    world.tick("publish_balances")
    assert [said(world, org)[-1]["usable_credits"] for org in orgs] == ["9.00"] * 7


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_account_that_is_being_changed_is_said_later(world):
    org = world.open(limit="10")
    world.charge(org, "1")
    told = len(said(world, org))
    with world.database.transaction() as session:
        session.scalars(
            select(Account).where(Account.organization_id == org).with_for_update()
        ).one()
        world.tick("publish_balances")
    assert len(said(world, org)) == told and unsaid(world, org)
    world.tick("publish_balances")
    assert len(said(world, org)) == told + 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("way", ["at once", "slowly"])
def test_nothing_is_lost_when_charges_and_the_job_race(world, way, monkeypatch):
    if way == "slowly":
        monkeypatch.setattr("billing.actions.charges.charges.fast_charge", lambda *_, **__: None)
    org, done = world.open(limit="1000"), threading.Event()

    def keep_saying():
        while not done.is_set():
            world.tick("publish_balances")
        world.tick("publish_balances")

    def keep_charging():
        try:
            return sum(at_once(*[charge(world, org, 1_000_000, times=25)] * 8))
        finally:
            done.set()

    _, charged = at_once(keep_saying, keep_charging)
    assert charged == 200
    assert said(world, org)[-1]["usable_credits"] == "800.00"
    assert not unsaid(world, org)
    stamps = [figures["as_of"] for figures in said(world, org)]
    assert stamps == sorted(stamps)


def test_usage_by_the_batch_is_said_once(world):
    org = world.open(limit="1000")
    records = [
        UsageRecord(world.provider_id, f"c{n}", org, 1_000_000, clock.now(), "x") for n in range(60)
    ]
    told = len(said(world, org))
    with world.database.transaction() as session:
        assert set(actions.record_usage(session, records=records, now=clock.now())) == {"accepted"}
    world.tick()
    assert [figures["usable_credits"] for figures in said(world, org)[told:]] == ["940.00"]
