"""Invoices voided and credited."""

import pytest
from billing.models import Account
from billing.values import extract_tax
from chassis.runtime import clock

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
        ("void", f"Invoice {first['number']} voided", "60.00"),
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
    assert cents(after["credit_notes"][0]["tax"]) == extract_tax(50 * MILLION, "9")
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
