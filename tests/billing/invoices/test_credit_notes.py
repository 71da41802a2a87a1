"""Invoices voided and credited."""

from typing import Any

import pytest
from billing.models import Account
from chassis.runtime import clock

from tests.billing.conftest import World
from tests.billing.invoices.books import (
    MILLION,
    cents,
    check_books,
    choose,
    covering,
    credit,
    do,
    figures,
    issue,
    listed,
    names,
    read,
)


def test_charges_of_a_voided_invoice_go_on_the_next(world):
    org = world.open("postpaid", limit="100")
    charged = world.charge(org, "60")
    first = issue(world, org)
    void = do(world, org, first, "void", {"reason": "wrong address"})
    assert (void["status"], void["open"], void["total"]) == ("void", "0.00", "60.00")
    assert figures(world, org) == ("40.00", "-60.00", "0.00", "-60.00")
    assert covering(world, org, charged) is None
    assert do(world, org, first, "void", status=409)["code"] == "invoice_void"
    assert credit(world, org, first, status=409)["code"] == "invoice_void"
    world.charge(org, "5")
    second = issue(world, org)
    assert [(line["kind"], line["description"], line["amount"]) for line in second["lines"]] == [
        ("usage", "Calls", "60.00"),
        ("usage", "Calls", "5.00"),
    ]
    assert covering(world, org, charged) == second["id"]
    assert (second["number"][-4:], second["from_seq"]) == ("0002", first["to_seq"] + 1)
    assert names(world, org) == ["invoice_issued", "invoice_voided", "invoice_issued"]
    check_books(world, org)


def test_an_invoice_with_payments_or_credits_cannot_be_voided(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    partly = issue(world, org)
    credit(world, org, partly, "1")
    world.charge(org, "10")
    world.top_up(org, "5")
    issue(world, org)
    for invoice in listed(world, org):
        assert (
            do(
                world,
                org,
                invoice,
                "void",
                status=409 if invoice["credited"] != "0.00" or invoice["paid"] != "0.00" else 200,
            ).get("code", "invoice_settled")
            == "invoice_settled"
        )
    assert [i["status"] for i in listed(world, org)] == ["void", "awaiting_payment"]
    check_books(world, org)


def test_a_credit_note_lowers_the_balance_due(world):
    choose(
        world, tax_rates=[{"country": "SG", "name": "GST", "rate": "9", "valid_from": "2020-01-01"}]
    )
    org = world.open("postpaid", limit="1000")
    world.charge(org, "109")
    invoice = issue(world, org)
    after = credit(world, org, invoice, "50")
    assert (after["credited"], after["open"], after["status"]) == (
        "50.00",
        "59.00",
        "awaiting_payment",
    )
    assert world.account(org)["current_balance"] == "-59.00"
    assert credit(world, org, invoice, "59.000001", 409)["code"] == "credit_exceeds_invoice"
    after = credit(world, org, invoice)
    assert (after["credited"], after["open"], after["status"]) == ("109.00", "0.00", "paid")
    assert credit(world, org, invoice, status=409)["code"] == "credit_exceeds_invoice"
    prefix = org[-10:].upper()
    assert [note["number"] for note in after["credit_notes"]] == [
        f"{prefix}-C0001",
        f"{prefix}-C0002",
    ]
    assert sum(cents(note["tax"]) for note in after["credit_notes"]) == 9 * MILLION
    assert cents(after["credit_notes"][0]["tax"]) == 4_128_440
    assert names(world, org) == [
        "invoice_issued",
        "credit_note_issued",
        "credit_note_issued",
        "invoice_paid",
    ]
    assert world.account(org)["current_balance"] == "0.00"
    check_books(world, org)


def test_a_credited_amount_that_was_paid_becomes_surplus(world):
    org = world.open("postpaid", limit="1000")
    world.top_up(org, "30")
    world.charge(org, "40")
    invoice = issue(world, org)
    after = credit(world, org, invoice, "25")
    assert (after["paid"], after["credited"], after["open"], after["status"]) == (
        "15.00",
        "25.00",
        "0.00",
        "paid",
    )
    assert world.account(org)["amount_due"] == "15.00"
    check_books(world, org)


def test_a_credited_amount_that_was_paid_goes_to_the_wallet_of_an_account_now_prepaid(world):
    org = world.open("postpaid", limit="1000")
    world.top_up(org, "40")
    world.charge(org, "40")
    invoice = issue(world, org)
    assert world.patch(org, {"payment_mode": "prepaid", "credit_limit": "0"}).status_code == 200
    after = credit(world, org, invoice, "25")
    assert (after["paid"], after["credited"], after["status"]) == ("15.00", "25.00", "paid")
    assert world.account(org)["balance"] == "25.00"
    with world.database.reading() as session:
        account = session.get_one(Account, org)
    assert (account.surplus, account.prepaid, account.month_ends_at) == (0, 25 * MILLION, None)
    assert world.patch(org, {"payment_mode": "postpaid", "credit_limit": "5"}).status_code == 200
    with world.database.reading() as session:
        assert session.get_one(Account, org).month_ends_at > clock.now()
    check_books(world, org)


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x", "amount": 1},
        {"reason": "x", "amount": "-1"},
        {"amount": "1"},
        {"reason": "x", "amount": "0"},
        {"reason": "", "amount": "1"},
        {"reason": "x", "a": 1},
    ],
)
def test_bad_credit_notes_change_nothing(world, body):
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    invoice = issue(world, org)
    do(world, org, invoice, "credit-notes", body, 422)
    assert read(world, org, invoice["id"]) == invoice


def settle(world: World, *steps: tuple[str, str]) -> dict[str, Any]:
    """An invoice of 10.00 after these steps, each a way of settling and an amount."""
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    path = f"/v1/organizations/{org}"
    invoice = world.call("POST", f"{path}/invoices", {}).json["id"]
    for way, amount in steps:
        if way == "payment":
            body = {"amount": amount, "method": "cash"}
            assert world.call("POST", f"{path}/payments", body).status_code == 201
        elif way == "credit_note":
            body = {"amount": amount, "reason": "late"}
            response = world.call("POST", f"{path}/invoices/{invoice}/credit-notes", body)
            assert response.status_code == 201
        elif way == "reverse":
            last = world.call("GET", f"{path}/account/transactions").json["data"][0]["id"]
            reversed_ = world.post(org, f"transactions/{last}/reverse", {"reason": "wrong"})
            assert reversed_.status_code == 201
        else:
            world.adjust(org, amount, way)
    (listed,) = world.call("GET", f"{path}/invoices").json["data"]
    shown: dict[str, Any] = world.call("GET", f"{path}/invoices/{invoice}").json
    names = ("status", "paid", "credited", "written_off", "open")
    assert {name: listed[name] for name in names} == {name: shown[name] for name in names}
    return {name: shown[name] for name in names}


@pytest.mark.parametrize(
    ("steps", "paid", "credited", "written_off", "open_"),
    [
        ([("write_off", "10")], "0.00", "10.00", "10.00", "0.00"),
        ([("credit_note", "10")], "0.00", "10.00", "0.00", "0.00"),
        ([("payment", "10"), ("credit_note", "10")], "0.00", "10.00", "0.00", "0.00"),
        ([("payment", "6"), ("write_off", "4")], "6.00", "4.00", "4.00", "0.00"),
        (
            [("payment", "5"), ("goodwill", "1"), ("credit_note", "2"), ("write_off", "2")],
            "5.00",
            "5.00",
            "2.00",
            "0.00",
        ),
        ([("write_off", "10"), ("reverse", "")], "0.00", "0.00", "0.00", "10.00"),
        (
            [("credit_note", "3"), ("write_off", "7"), ("reverse", "")],
            "0.00",
            "3.00",
            "0.00",
            "7.00",
        ),
    ],
)
def test_an_invoice_tells_what_was_written_off(
    world: World,
    steps: list[tuple[str, str]],
    paid: str,
    credited: str,
    written_off: str,
    open_: str,
) -> None:
    shown = settle(world, *steps)

    assert (shown["paid"], shown["credited"], shown["written_off"], shown["open"]) == (
        paid,
        credited,
        written_off,
        open_,
    )
    assert shown["status"] == ("paid" if open_ == "0.00" else "awaiting_payment")
