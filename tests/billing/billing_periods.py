"""Customers with charges, and the end of their months."""

from datetime import UTC, datetime, timedelta

from billing import actions, jobs
from billing.models import Account
from billing.values import (
    parse_money,
)
from chassis.runtime import ids

from tests.billing.conftest import CLERK
from tests.billing.invoices.books import listed

SECOND = timedelta(seconds=1)


def opened(world, timezone="Asia/Singapore", at=datetime(2031, 1, 5, tzinfo=UTC), mode="postpaid"):
    org = ids.new("org")
    with world.database.transaction() as session:
        actions.open_account(
            session,
            organization_id=org,
            provider_id=world.provider_id,
            name="Acme",
            country="SG",
            currency="SGD",
            timezone=timezone,
            payment_mode=mode,
            credit_limit=parse_money("1000"),
            billing={},
            buyer_tags={},
            now=at,
        )
    return org


def charge(world, org, amount, at):
    with world.database.transaction() as session:
        actions.charge(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind="usage",
            description="Calls",
            now=at,
            by=CLERK,
        )


def adjust(world, org, amount, at):
    with world.database.transaction() as session:
        actions.adjust(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind="goodwill",
            reason="x",
            now=at,
            by=CLERK,
        )


def issue(world, org, at):
    with world.database.transaction() as session:
        actions.issue_invoice(session, organization_id=org, now=at, by=CLERK)


def end_months(world, now):
    run = jobs.BillingRun().run
    while run(world.database, now, None):
        pass


def account(world, org):
    with world.database.reading() as session:
        return session.get_one(Account, org)


def totals(world, org):
    """Total and period of each invoice, oldest first."""
    return [
        (i["total"], i["period"]["from"], i["period"]["to"]) for i in reversed(listed(world, org))
    ]
