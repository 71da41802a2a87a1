"""Reservations, by requests and at given moments."""

from datetime import UTC, datetime, timedelta

import pytest
from billing import actions
from billing.models import Entry
from billing.values import parse_money
from sqlalchemy import select

from tests.billing.conftest import CLERK

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
BODY = {"amount": "10", "description": "A call"}


def reserve(world, org, amount, **more):
    response = world.post(org, "reservations", {"amount": amount, "description": "A call", **more})
    assert response.status_code == 201, response.json
    return response.json


def settle(world, org, reservation, verb, body=None, **options):
    return world.post(org, f"reservations/{reservation['id']}/{verb}", body, **options)


def figures(world, org):
    shown = world.account(org)
    return shown["balance"], shown["usable_credits"], shown["reserved_credits"]


def kinds(world, org):
    """The kinds of the organization's transactions, oldest first."""
    with world.database.reading() as session:
        first = (
            select(Entry.kind)
            .where(Entry.organization_id == org, Entry.part == 0)
            .order_by(Entry.seq)
        )
        return session.scalars(first).all()


def at(world, moment, act, **arguments):
    with world.database.transaction() as session:
        return act(session, now=moment, **arguments)


def hold(world, org, amount, *, at_=NOW, seconds=60):
    """Make a reservation at a given moment; returns its id."""
    return at(
        world,
        at_,
        actions.reserve,
        by=CLERK,
        organization_id=org,
        amount=parse_money(amount),
        description="A call",
        expires_in=seconds,
    )["id"]


def expire_due(world, moment):
    while at(world, moment, actions.expire_reservations):
        pass


@pytest.fixture(autouse=True)
def nothing_due(world):
    """Expire what other tests have left."""
    expire_due(world, datetime(2100, 1, 1, tzinfo=UTC))
