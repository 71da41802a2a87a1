"""Published balances: never older than the previous one, with days to empty that are recounted
daily."""

from datetime import timedelta

import pytest
from billing import actions, jobs
from billing.actions.accounts import notifications
from billing.models import Account, Spending
from billing.values import parse_money
from chassis.runtime import clock
from sqlalchemy import select

from tests.billing.conftest import CLERK
from tests.databases import counted


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
    world.run_jobs("publish_balances", now=now)


def published(world, org):
    return [data for name, data in world.published(org) if name == "balance_changed"]


def recount_days_to_empty(world, now):
    while jobs.recount_days_to_empty(world.database, now, None):
        pass


def test_a_transaction_that_waited_for_the_lock_does_not_publish_an_older_balance(world):
    org, now = world.open(limit="10"), clock.now()
    charge(world, org, "1", now + timedelta(seconds=1))
    charge(world, org, "2", now)
    stamps = [figures["as_of"] for figures in published(world, org)]
    assert stamps == sorted(stamps)
    assert published(world, org)[-1]["balance"] == "-3.00"


def test_the_days_to_empty_are_published_with_their_balance(world):
    org, now = world.open(), clock.now()
    world.top_up(org, "50")
    assert published(world, org)[-1]["days_to_empty"] is None
    charge(world, org, "7", now)
    assert published(world, org)[-1]["days_to_empty"] == 86 == world.account(org)["days_to_empty"]
    world.top_up(org, "7")
    assert published(world, org)[-1]["days_to_empty"] == 100
    world.post(
        org,
        "charges",
        {"amount": "9", "kind": "usage", "description": "x", "external_invoice": "A1"},
    )
    world.run_jobs()
    assert published(world, org)[-1]["days_to_empty"] == 100


def test_no_credits_last_zero_days_and_minimal_spending_at_most_a_hundred_years(world):
    org, rich, now = world.open(limit="7"), world.open(), clock.now()
    charge(world, org, "7", now)
    world.top_up(rich, "999999999999")
    charge(world, rich, "0.000001", now)
    assert (
        published(world, org)[-1]["days_to_empty"],
        published(world, rich)[-1]["days_to_empty"],
    ) == (
        0,
        36_500,
    )


def test_only_days_to_empty_that_change_over_time_are_published_again(world):
    org, now = world.open(), clock.now()
    world.top_up(org, "57")
    charge(world, org, "7", now)
    charge(world, org, "7", now + timedelta(days=1))
    assert published(world, org)[-1]["days_to_empty"] == 43
    sent = len(published(world, org))
    recount_days_to_empty(world, now + timedelta(days=1))
    recount_days_to_empty(world, now + timedelta(days=13))
    assert len(published(world, org)) == sent
    recount_days_to_empty(world, now + timedelta(days=14))
    assert (len(published(world, org)), published(world, org)[-1]["days_to_empty"]) == (
        sent + 1,
        86,
    )
    recount_days_to_empty(world, now + timedelta(days=15))
    assert (len(published(world, org)), published(world, org)[-1]["days_to_empty"]) == (
        sent + 2,
        None,
    )
    recount_days_to_empty(world, now + timedelta(days=30))
    assert len(published(world, org)) == sent + 2
    with world.database.reading() as session:
        assert session.get_one(Account, org).days_due_on is None


def test_postpaid_accounts_have_no_days_to_empty(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "7")
    assert published(world, org)[-1]["days_to_empty"] is None
    with world.database.reading() as session:
        assert session.get_one(Account, org).days_due_on is None
        assert session.scalars(
            select(Spending.amount).where(Spending.organization_id == org)
        ).all() == [7_000_000]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_locked_accounts_are_recounted_later(world):
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


def test_balances_of_many_accounts_take_as_many_statements_as_of_two(world):
    orgs, now = [world.open() for _ in range(8)], clock.now()
    for org in orgs:
        world.top_up(org, "57")
        charge(world, org, "7", now)

    def publish(count):
        with world.database.transaction() as session:
            chosen = select(Account).where(Account.organization_id.in_(orgs[:count]))
            notifications.publish_balance_soon(session, *session.scalars(chosen))
        with counted(world.database) as seen:
            world.run_jobs("publish_balances", now=now)
        return len(seen)

    assert publish(8) == publish(2)
