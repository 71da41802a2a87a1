"""The provider's wallet: all of one instant, whatever is posted meanwhile, and sums that no column holds."""

import pytest
from billing import actions, queries
from billing.models import Account
from chassis import clock
from sqlalchemy import event

from tests.billing.conftest import CLERK

MOST = "999999999999.999999"


def wallet(world):
    return world.call("GET", "/v1/wallet").json["data"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_balance_and_customers_balance_are_of_the_same_instant(world):
    org = world.open()
    with world.database.transaction() as session:
        session.get_one(Account, org).payment_method = {"brand": "visa", "last4": "4242"}
    posted = []

    def post(connection, cursor, statement, parameters, context, many):
        if not posted and ("FROM journal" in statement or "FROM accounts" in statement):
            posted.append(statement)
            with world.database.transaction() as other:
                actions.top_up(other, organization_id=org, amount=5 * 10**6, method="card", now=clock.now(), by=CLERK)

    with world.database.reading() as session:
        event.listen(world.database.engine, "after_cursor_execute", post)
        found = queries.purses(session, world.provider_id)
        event.remove(world.database.engine, "after_cursor_execute", post)
    assert posted
    assert [purse.usable for purse in found] == [0]
    assert wallet(world)[0] == {"currency": "SGD", "balance": "5.00", "customers_balance": "5.00", "usable": "0.00"}


def test_each_currency_is_summed_by_itself_the_own_one_first(world):
    yen = world.open(currency="JPY")
    world.top_up(yen, "500")
    world.top_up(world.open(), "3")
    world.charge(world.open(limit="9"), "2", cost="1.5")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
    world.call("POST", "/v1/wallet/top-ups", {"amount": "7", "currency": "EUR"})
    assert [tuple(purse.values()) for purse in wallet(world)] == [
        ("SGD", "98.50", "3.00", "95.50"), ("EUR", "7.00", "0.00", "7.00"), ("JPY", "0", "500", "-500")]


def test_the_largest_costs_are_summed_and_what_can_not_be_kept_is_refused(world):
    customers = [world.open(limit="1") for _ in range(2)]
    body = {"amount": "0.01", "kind": "usage", "description": "x", "cost": MOST}
    answers = [world.post(org, "charges", body) for org in customers for _ in range(10)]
    refused = [answer.json["code"] for answer in answers if answer.status_code != 201]
    assert refused == ["amount_too_large"] * 2
    assert wallet(world)[0]["balance"] == "-17999999999999.999982"
    topped_up = world.call("POST", "/v1/wallet/top-ups", {"amount": "1"})
    assert (topped_up.status_code, topped_up.json["code"]) == (409, "amount_too_large")
