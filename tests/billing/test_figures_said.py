"""The figures billing says: never older than those before, and how long the credits last, counted
anew every day."""

from datetime import timedelta

import pytest
from billing import actions, jobs
from billing.models import Account, Spending
from billing.values import parse_money
from chassis.runtime import clock
from sqlalchemy import select

from tests.billing.conftest import CLERK


def charge(world, org, amount, now):
    with world.database.transaction() as session:
        actions.charge(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind="usage",
            description="x",
            by=CLERK,
            now=now,
        )
    world.tick("publish_balances", now=now)


def said(world, org):
    return [data for name, data in world.said(org) if name == "balance_changed"]


def recount_days_to_empty(world, now):
    while jobs.recount_days_to_empty(world.database, now, None):
        pass


def test_who_waited_for_the_lock_does_not_say_older_figures_than_who_had_it(world):
    org, now = world.open(limit="10"), clock.now()
    charge(world, org, "1", now + timedelta(seconds=1))
    charge(world, org, "2", now)
    stamps = [figures["as_of"] for figures in said(world, org)]
    assert stamps == sorted(stamps)
    assert said(world, org)[-1]["balance"] == "-3.00"


def test_the_days_to_empty_are_said_with_the_figures_they_belong_to(world):
    org, now = world.open(), clock.now()
    world.top_up(org, "50")
    assert said(world, org)[-1]["days_to_empty"] is None
    charge(world, org, "7", now)
    assert said(world, org)[-1]["days_to_empty"] == 86 == world.account(org)["days_to_empty"]
    world.top_up(org, "7")
    assert said(world, org)[-1]["days_to_empty"] == 100
    world.post(
        org,
        "charges",
        {"amount": "9", "kind": "usage", "description": "x", "external_invoice": "A1"},
    )
    world.tick()
    assert said(world, org)[-1]["days_to_empty"] == 100


def test_nothing_left_lasts_no_day_and_a_trifle_burnt_at_most_a_hundred_years(world):
    org, rich, now = world.open(limit="7"), world.open(), clock.now()
    charge(world, org, "7", now)
    world.top_up(rich, "999999999999")
    charge(world, rich, "0.000001", now)
    assert (said(world, org)[-1]["days_to_empty"], said(world, rich)[-1]["days_to_empty"]) == (
        0,
        36_500,
    )


def test_days_to_empty_that_change_by_the_clock_alone_are_said_and_others_are_not(world):
    org, now = world.open(), clock.now()
    world.top_up(org, "57")
    charge(world, org, "7", now)
    charge(world, org, "7", now + timedelta(days=1))
    assert said(world, org)[-1]["days_to_empty"] == 43
    told = len(said(world, org))
    recount_days_to_empty(world, now + timedelta(days=1))
    recount_days_to_empty(world, now + timedelta(days=13))
    assert len(said(world, org)) == told
    recount_days_to_empty(world, now + timedelta(days=14))
    assert (len(said(world, org)), said(world, org)[-1]["days_to_empty"]) == (told + 1, 86)
    recount_days_to_empty(world, now + timedelta(days=15))
    assert (len(said(world, org)), said(world, org)[-1]["days_to_empty"]) == (told + 2, None)
    recount_days_to_empty(world, now + timedelta(days=30))
    assert len(said(world, org)) == told + 2
    with world.database.reading() as session:
        assert session.get_one(Account, org).days_due_on is None


def test_nobody_counts_the_days_of_postpaid_accounts(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "7")
    assert said(world, org)[-1]["days_to_empty"] is None
    with world.database.reading() as session:
        assert session.get_one(Account, org).days_due_on is None
        assert session.scalars(
            select(Spending.amount).where(Spending.organization_id == org)
        ).all() == [7_000_000]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_accounts_that_are_being_changed_are_counted_later(world):
    org, now = world.open(), clock.now()
    world.top_up(org, "57")
    charge(world, org, "7", now)
    with world.database.transaction() as session:
        session.scalars(
            select(Account).where(Account.organization_id == org).with_for_update()
        ).one()
        recount_days_to_empty(world, now + timedelta(days=1))
    with world.database.reading() as session:
        assert session.get_one(Account, org).days_due_on == now.date() + timedelta(days=1)
