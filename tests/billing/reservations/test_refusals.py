"""Refusals of charges, reservations and withdrawals, and the reservations that would help."""

import pytest

from tests.billing.reservations.conftest import BODY, reserve, settle


@pytest.mark.parametrize("what", ["charges", "reservations"])
def test_a_refusal_lists_the_reservations_whose_expiry_would_help_soonest_first(world, what):
    org = world.open(limit="100")
    long, soon, middle = (
        reserve(world, org, amount, expires_in=seconds)
        for amount, seconds in (("40", 900), ("10", 300), ("20", 600))
    )
    settle(world, org, middle, "capture", {"amount": "1", "final": False})
    body = {"description": "x", **({"kind": "usage"} if what == "charges" else {})}

    def refused(amount):
        response = world.post(org, what, {**body, "amount": amount})
        assert (response.status_code, response.json["code"]) == (409, "insufficient_credits")
        return response.json

    def named(*made):
        frees = {soon["id"]: "10.00", middle["id"]: "19.00", long["id"]: "40.00"}
        return [
            {"id": r["id"], "frees": frees[r["id"]], "expires_at": r["expires_at"]} for r in made
        ]

    first = refused("40")
    assert {name: first[name] for name in ("shortfall", "usable", "cure")} == {
        "shortfall": "10.00",
        "usable": "30.00",
        "cure": {"top_up": "10.00", "credit_limit": "110.00"},
    }
    for amount, needed in (
        ("40", [soon]),
        ("40.000001", [soon, middle]),
        ("59", [soon, middle]),
        ("59.000001", [soon, middle, long]),
        ("99", [soon, middle, long]),
    ):
        response = refused(amount)
        assert (response["reservations"], response["freed_at"]) == (
            named(*needed),
            needed[-1]["expires_at"],
        ), amount
    response = refused("99.000001")
    assert (response["reservations"], response["freed_at"]) == ([], None)


def test_a_refusal_lists_at_most_ten_reservations_and_when_enough_is_free(world):
    org = world.open(limit="12")
    made = [reserve(world, org, "1", expires_in=100 + n) for n in range(12)]
    refused = world.post(org, "charges", {"amount": "11", "kind": "usage", "description": "x"}).json
    assert [named["id"] for named in refused["reservations"]] == [r["id"] for r in made[:10]]
    assert refused["freed_at"] == made[10]["expires_at"]


def test_a_refused_withdrawal_lists_the_reservations_that_block_it(world):
    org = world.open(limit="100")
    world.top_up(org, "10")
    made = [
        reserve(world, org, amount, expires_in=seconds)
        for amount, seconds in (("25", 300), ("3", 600))
    ]
    body = {"amount": "0.01", "method": "cash", "reason": "x"}
    refused = world.post(org, "withdrawals", body).json
    assert (refused["shortfall"], refused["withdrawable"], refused["freed_at"]) == (
        "0.01",
        "0.00",
        made[0]["expires_at"],
    )
    assert [named["id"] for named in refused["reservations"]] == [made[0]["id"]]
    both = world.post(org, "withdrawals", {**body, "amount": "7.01"}).json
    assert [named["id"] for named in both["reservations"]] == [r["id"] for r in made]
    none = world.post(org, "withdrawals", {**body, "amount": "10.01"}).json
    assert (none["reservations"], none["freed_at"]) == ([], None)


def test_reservations_do_not_block_a_withdrawal_of_surplus(world):
    org = world.open("postpaid", limit="100")
    world.top_up(org, "5")
    reserve(world, org, "50")
    refused = world.post(org, "withdrawals", {"amount": "6", "method": "cash", "reason": "x"}).json
    assert (refused["withdrawable"], refused["reservations"], refused["freed_at"]) == (
        "5.00",
        [],
        None,
    )
    world.withdraw(org, "5")


def test_a_repeated_request_gets_the_same_refusal_whatever_happened_to_the_reservations(world):
    org = world.open(limit="10")
    made = reserve(world, org, "10")
    first = world.post(org, "reservations", BODY, key="one")
    assert [named["id"] for named in first.json["reservations"]] == [made["id"]]
    settle(world, org, made, "release")
    again = world.post(org, "reservations", BODY, key="one")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (
        409,
        first.data,
        "true",
    )
    assert world.post(org, "reservations", BODY, key="two").status_code == 201
