"""Terms: what a postpaid account needs, and what only a prepaid one has."""

from typing import Any

import pytest

from tests.billing.conftest import World

AUTO = {"enabled": True, "amount": "50", "method": "issue", "threshold": "10"}


@pytest.mark.parametrize(
    "patch",
    [
        {"credit_limit": "0"},
        {"credit_limit": "0.000000", "credit_limit_expires_at": "2099-01-01T00:00:00Z"},
        {"payment_mode": "postpaid", "credit_limit": "0"},
    ],
)
def test_a_postpaid_account_keeps_a_credit_limit(world: World, patch: dict[str, Any]) -> None:
    org = world.open("postpaid", limit="100")

    refused = world.patch(org, patch)

    assert (refused.status_code, refused.json["code"]) == (409, "credit_limit_required")
    assert world.account(org)["credit_limit"] == "100.00"


def test_a_prepaid_account_needs_no_credit_limit_until_it_becomes_postpaid(world: World) -> None:
    org = world.open(limit="100")
    assert world.patch(org, {"credit_limit": "0"}).status_code == 200

    refused = world.patch(org, {"payment_mode": "postpaid"})

    assert (refused.status_code, refused.json["code"]) == (409, "credit_limit_required")


@pytest.mark.parametrize(
    "patch",
    [
        {"auto_top_up": AUTO},
        {"auto_top_up": {"enabled": True}},
        {"payment_mode": "postpaid", "auto_top_up": AUTO},
    ],
)
def test_automatic_top_ups_are_for_prepaid_accounts(world: World, patch: dict[str, Any]) -> None:
    mode = "prepaid" if "payment_mode" in patch else "postpaid"
    org = world.open(mode, limit="100")

    refused = world.patch(org, patch)

    assert (refused.status_code, refused.json["code"]) == (409, "prepaid_only")
    account = world.account(org)
    assert (account["payment_mode"], account["auto_top_up"]["enabled"]) == (mode, False)


def test_the_change_to_postpaid_turns_automatic_top_ups_off(world: World) -> None:
    world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
    org = world.open(limit="100")
    assert world.patch(org, {"auto_top_up": {**AUTO, "threshold": "100"}}).status_code == 200
    changed = world.patch(org, {"payment_mode": "postpaid"}).json

    world.run_jobs("run_auto_top_ups")

    assert changed["auto_top_up"]["enabled"] is False
    assert world.account(org)["usable_credits"] == "100.00", "the order was dropped"
    assert world.patch(org, {"auto_top_up": {"enabled": False}}).status_code == 200


@pytest.mark.parametrize("amount", ["60.000001", "100"])
def test_a_write_off_of_more_than_the_debt_is_refused(world: World, amount: str) -> None:
    org = world.open("postpaid", limit="100")
    world.charge(org, "40")
    world.call("POST", f"/v1/organizations/{org}/invoices", {})
    world.charge(org, "20")

    refused = world.post(org, "adjustments", _write_off(amount))

    assert (refused.status_code, refused.json["code"]) == (409, "write_off_exceeds_debt")
    assert refused.json["debt"] == "60.00"
    assert world.account(org)["current_balance"] == "-60.00"
    world.adjust(org, "60", "write_off")
    assert world.account(org)["current_balance"] == "0.00"


def test_a_write_off_counts_the_surplus_that_was_left(world: World) -> None:
    org = world.open("postpaid", limit="100")
    world.charge(org, "50")
    world.call("POST", f"/v1/organizations/{org}/invoices", {})
    body = {"amount": "10", "method": "cash", "invoice_ids": []}
    world.call("POST", f"/v1/organizations/{org}/payments", body)

    assert world.post(org, "adjustments", _write_off("40.01")).json["debt"] == "40.00"


def test_a_write_off_of_a_prepaid_debt_stops_at_zero(world: World) -> None:
    org = world.open(limit="100")
    world.charge(org, "30")

    assert world.post(org, "adjustments", _write_off("30.01")).json["debt"] == "30.00"
    world.adjust(org, "30", "write_off")
    assert world.post(org, "adjustments", _write_off("0.01")).json["debt"] == "0.00"


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_a_negative_write_off_takes_no_more_than_the_credit(world: World, mode: str) -> None:
    org = world.open(mode, limit="100")
    world.top_up(org, "5")

    refused = world.post(org, "adjustments", _write_off("-5.01"))

    assert (refused.status_code, refused.json["code"]) == (409, "insufficient_credits")
    assert refused.json["credit"] == "5.00"
    world.adjust(org, "-5", "write_off")
    assert world.account(org)["current_balance"] == "0.00"


def test_what_is_reserved_is_not_written_off(world: World) -> None:
    org = world.open()
    world.top_up(org, "5")
    body = {"amount": "3", "description": "Call", "expires_in": 60}
    assert world.post(org, "reservations", body).status_code == 201

    assert world.post(org, "adjustments", _write_off("-2.01")).json["credit"] == "2.00"


def _write_off(amount: str) -> dict[str, str]:
    return {"amount": amount, "kind": "write_off", "reason": "small"}
