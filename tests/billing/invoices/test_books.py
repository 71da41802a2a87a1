"""The books agree after any sequence of actions."""

import random

import pytest

from tests.billing.invoices.books import check_books, choose, listed


@pytest.mark.parametrize("seed", range(2))
def test_the_books_agree_after_any_sequence_of_actions(world, seed):
    chance = random.Random(seed)
    choose(
        world,
        invoicing=chance.choice(["individual", "consolidated"]),
        tax_rates=[{"country": "SG", "name": "GST", "rate": "8.1", "valid_from": "2020-01-01"}],
    )
    org = world.open("postpaid", limit="100000")

    def amount():
        return f"{chance.randint(0, 60)}.{chance.randint(1, 999999):06d}"

    for _ in range(40):
        invoices = listed(world, org)
        what = chance.choice(
            [
                "charge",
                "charge",
                "one_off",
                "adjust",
                "against",
                "top_up",
                "issue",
                "void",
                "credit",
            ]
        )
        if what in ("charge", "one_off"):
            world.charge(org, amount(), kind="usage" if what == "charge" else what)
        elif what in ("adjust", "against"):
            world.adjust(org, ("-" if what == "against" else "") + amount(), "goodwill")
        elif what == "top_up":
            world.top_up(org, amount())
        elif what == "issue":
            world.call("POST", f"/v1/organizations/{org}/invoices", {})
        elif invoices:
            body = {"reason": "x", **({"amount": amount()} if what == "credit" else {})}
            path = f"/v1/organizations/{org}/invoices/{chance.choice(invoices)['id']}"
            response = world.call(
                "POST", f"{path}/{'void' if what == 'void' else 'credit-notes'}", body
            )
            assert response.status_code in (200, 201, 409)
    assert listed(world, org)
    check_books(world, org)
