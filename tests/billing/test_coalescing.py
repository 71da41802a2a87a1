"""A balance that changes all the time is published a few times a second, and the last one
always."""

import threading

import pytest
from billing import actions
from billing.actions.usage.records import UsageRecord
from billing.models import Account, UnpublishedBalance
from chassis.auth.actor import SYSTEM
from chassis.runtime import clock
from sqlalchemy import select

from tests.billing.test_concurrency import at_once, charge

pytestmark = pytest.mark.both_databases


def published(world, org):
    return [data for name, data in world.published(org) if name == "balance_changed"]


def unpublished(world, org):
    with world.database.reading() as session:
        return session.get(UnpublishedBalance, org) is not None


def test_many_charges_publish_one_balance_and_are_recorded_in_the_journal_only(world):
    org = world.open(limit="10")
    before = world.published(org)
    for _ in range(5):
        world.charge(org, "1")
    world.charge(org, "1", external_invoice="A1")
    assert world.published(org) == before and unpublished(world, org)
    world.run_jobs()
    world.run_jobs()
    ((name, figures),) = world.published(org)[len(before) :]
    assert (name, figures["usable_credits"]) == ("balance_changed", "5.00")
    assert not unpublished(world, org)
    rows = world.call("GET", f"/v1/organizations/{org}/account/transactions").json["data"]
    assert len(rows) == 6


@pytest.mark.parametrize("kind", ["subscription", "one_off"])
def test_other_charges_are_audited_and_published_at_once(world, kind):
    org = world.open(limit="10")
    world.charge(org, "1", kind=kind)
    assert [name for name, _ in world.published(org)][-2:] == ["audit_recorded", "balance_changed"]
    assert world.last_published(org, "audit_recorded")["action"] == "account.charged"


def test_a_failed_charge_publishes_nothing(world):
    org = world.open(limit="1")
    assert (
        world.post(org, "charges", {"amount": "2", "kind": "usage", "description": "x"}).status_code
        == 409
    )
    assert not unpublished(world, org)


def test_the_job_writes_nothing_if_nothing_has_changed(world, monkeypatch):
    world.run_jobs()
    monkeypatch.setattr(world.database, "transaction", None)
    world.run_jobs("publish_balances")


def test_more_accounts_than_fit_into_one_run(world, monkeypatch):
    orgs = [world.open(limit="10") for _ in range(7)]
    world.run_jobs()
    for org in orgs:
        world.charge(org, "1")
    monkeypatch.setattr("billing.queries.BATCH_SIZE", 3)
    monkeypatch.setattr("billing.queries.unpublished_balances.__defaults__", (3,))
    world.run_jobs("publish_balances")
    assert [published(world, org)[-1]["usable_credits"] for org in orgs] == ["9.00"] * 7


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_locked_account_is_published_later(world):
    org = world.open(limit="10")
    world.charge(org, "1")
    sent = len(published(world, org))
    with world.database.transaction() as session:
        session.scalars(
            select(Account).where(Account.organization_id == org).with_for_update()
        ).one()
        world.run_jobs("publish_balances")
    assert len(published(world, org)) == sent and unpublished(world, org)
    world.run_jobs("publish_balances")
    assert len(published(world, org)) == sent + 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_nothing_is_lost_when_charges_and_the_job_race(world):
    org, done = world.open(limit="1000"), threading.Event()

    def keep_saying():
        while not done.is_set():
            world.run_jobs("publish_balances")
        world.run_jobs("publish_balances")

    def keep_charging():
        try:
            return sum(at_once(*[charge(world, org, 1_000_000, times=25)] * 8))
        finally:
            done.set()

    _, charged = at_once(keep_saying, keep_charging)
    assert charged == 200
    assert published(world, org)[-1]["usable_credits"] == "800.00"
    assert not unpublished(world, org)
    stamps = [figures["as_of"] for figures in published(world, org)]
    assert stamps == sorted(stamps)


def test_a_batch_of_usage_publishes_one_balance(world):
    org = world.open(limit="1000")
    records = [
        UsageRecord(world.provider_id, f"c{n}", org, 1_000_000, clock.now(), "x") for n in range(60)
    ]
    sent = len(published(world, org))
    with world.database.transaction() as session:
        assert set(actions.record_usage(session, by=SYSTEM, records=records, now=clock.now())) == {
            "accepted"
        }
    world.run_jobs()
    assert [figures["usable_credits"] for figures in published(world, org)[sent:]] == ["940.00"]
