"""Refunds: never more than was charged, where they go, and the returned cost."""

import pytest
from billing import actions
from billing.actions.charges.refunds import RefundExceedsCharge
from billing.actions.usage.records import UsageRecord
from billing.models import Account, Buckets, Entry
from billing.values import Code
from chassis.auth.actor import SYSTEM
from chassis.runtime import clock, ids
from sqlalchemy import select

from tests.billing.test_concurrency import THREADS, at_once


def refund(world, org, charge, amount=None, **options):
    body = {
        "transaction_id": charge["id"],
        "reason": "broken",
        **({"amount": amount} if amount else {}),
    }
    return world.post(org, "refunds", body, **options)


def entries(transaction):
    return [(leg["account"], leg["debit"], leg["credit"]) for leg in transaction["entries"]]


def buckets(world, org):
    with world.database.reading() as session:
        return session.get_one(Account, org).buckets


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_refunds_can_be_switched_off(world, mode):
    org = world.open(mode, limit="100")
    charge = world.charge(org, "60", kind="one_off")
    world.settings(allow_refund=False)

    refused = refund(world, org, charge, "25")

    assert (refused.status_code, refused.json["code"]) == (409, "refund_not_allowed")
    assert world.account(org)["current_balance"] == "-60.00"
    world.settings(allow_refund=True)
    assert refund(world, org, charge, "25").status_code == 201


def test_partial_refunds_go_to_the_wallet_and_never_exceed_the_charge(world):
    org = world.open()
    world.top_up(org, "100")
    charge = world.charge(org, "60", kind="one_off", description="Headset")

    first = refund(world, org, charge, "25")
    assert first.status_code == 201
    assert (first.json["kind"], first.json["amount"], first.json["balance_after"]) == (
        "refund",
        "25.00",
        "65.00",
    )
    assert (first.json["description"], first.json["reason"]) == ("Refund: Headset", "broken")
    assert first.json["refunds"] == charge["id"]
    assert entries(first.json) == [("revenue", "25.00", "0.00"), ("prepaid", "0.00", "25.00")]

    books = world.stored_rows(org)
    refused = refund(world, org, charge, "35.000001")
    assert (refused.status_code, refused.json["code"]) == (409, "refund_exceeds_charge")
    assert refused.json["left"] == "35.00"
    assert world.stored_rows(org) == books

    assert refund(world, org, charge).json["amount"] == "35.00"
    assert refund(world, org, charge).json["left"] == "0.00"
    assert world.account(org)["balance"] == "100.00"
    audited = [data for name, data in world.published(org) if name == "audit_recorded"]
    assert [row["action"] for row in audited][-2:] == ["account.refunded"] * 2


def test_the_cost_is_returned_in_proportion_to_the_millionth(world):
    org = world.open()
    world.top_up(org, "10")
    charge = world.charge(org, "3", cost="1")
    returned = [
        refund(world, org, charge, amount).json["cost"] for amount in ("1", "1", "0.5", "0.5")
    ]
    assert returned == ["-0.333333", "-0.333334", "-0.166666", "-0.166667"]
    (balance,) = world.call("GET", "/v1/wallet").json["data"]
    assert (balance["balance"], balance["customers_balance"]) == ("0.00", "10.00")


def test_a_refund_whose_cost_rounds_to_zero_has_no_cost_entry(world):
    org = world.open()
    world.top_up(org, "10")
    charge = world.charge(org, "3", cost="0.000001")
    assert [len(refund(world, org, charge, amount).json["entries"]) for amount in ("1", "2")] == [
        2,
        4,
    ]


def test_a_refund_reduces_the_unbilled_amount_first_and_the_rest_becomes_surplus(world):
    org = world.open("postpaid", limit="100")
    charge = world.charge(org, "60", cost="6")
    world.adjust(org, "20")
    given_back = refund(world, org, charge).json
    assert entries(given_back) == [
        ("revenue", "40.00", "0.00"),
        ("unbilled", "0.00", "40.00"),
        ("revenue", "20.00", "0.00"),
        ("surplus", "0.00", "20.00"),
        ("wallet", "6.00", "0.00"),
        ("cost", "0.00", "6.00"),
    ]
    assert buckets(world, org) == Buckets(surplus=20_000_000)


def invoice(world, org):
    response = world.call("POST", f"/v1/organizations/{org}/invoices", {})
    assert response.status_code == 201, response.json
    return response.json


def read_invoice(world, org, made):
    shown = world.call("GET", f"/v1/organizations/{org}/invoices/{made['id']}").json
    notes = [(note["transaction_id"], note["amount"]) for note in shown["credit_notes"]]
    return shown["status"], shown["paid"], shown["credited"], notes


def test_a_refund_of_an_invoiced_charge_is_a_credit_note(world):
    org = world.open("postpaid", limit="100")
    charge = world.charge(org, "60", cost="6")
    made = invoice(world, org)

    given_back = refund(world, org, charge, "20").json

    assert (given_back["kind"], given_back["amount"], given_back["refunds"]) == (
        "refund",
        "20.00",
        charge["id"],
    )
    assert entries(given_back) == [
        ("revenue", "20.00", "0.00"),
        ("invoiced", "0.00", "20.00"),
        ("wallet", "2.00", "0.00"),
        ("cost", "0.00", "2.00"),
    ]
    assert read_invoice(world, org, made) == (
        "awaiting_payment",
        "0.00",
        "20.00",
        [(given_back["id"], "20.00")],
    )
    assert buckets(world, org) == Buckets(invoiced=40_000_000)

    world.call("POST", f"/v1/organizations/{org}/payments", {"amount": "40", "method": "cash"})
    assert read_invoice(world, org, made)[0] == "paid"
    assert refund(world, org, charge).json["amount"] == "40.00"
    status, paid, credited, _ = read_invoice(world, org, made)
    assert (status, paid, credited) == ("paid", "0.00", "60.00")
    assert buckets(world, org) == Buckets(surplus=40_000_000)
    assert refund(world, org, charge, "0.000001").json["code"] == "refund_exceeds_charge"
    (balance,) = world.call("GET", "/v1/wallet").json["data"]
    assert (balance["balance"], balance["customers_balance"]) == ("0.00", "40.00")


def test_a_refund_cannot_exceed_what_is_left_of_the_invoice(world):
    org = world.open("postpaid", limit="100")
    charge = world.charge(org, "60", kind="one_off", cost="6")
    made = invoice(world, org)
    path = f"/v1/organizations/{org}/invoices/{made['id']}/credit-notes"
    assert world.call("POST", path, {"amount": "50", "reason": "x"}).status_code == 201
    books = world.stored_rows(org)
    refused = refund(world, org, charge)
    assert (refused.status_code, refused.json["code"], refused.json["left"]) == (
        409,
        "credit_exceeds_invoice",
        "10.00",
    )
    assert world.stored_rows(org) == books
    assert refund(world, org, charge, "10").status_code == 201


def test_a_charge_of_a_voided_invoice_is_refunded_from_its_current_invoice(world):
    org = world.open("postpaid", limit="100")
    charge = world.charge(org, "60")
    void = invoice(world, org)
    world.act(actions.void_invoice, organization_id=org, invoice_id=void["id"])
    assert ("unbilled", "0.00", "15.00") in entries(refund(world, org, charge, "15").json)
    made = invoice(world, org)
    assert made["total"] == "45.00"
    assert ("invoiced", "0.00", "5.00") in entries(refund(world, org, charge, "5").json)
    assert read_invoice(world, org, made)[2] == "5.00"
    assert read_invoice(world, org, void)[2] == "0.00"


def test_a_refund_of_a_paid_invoice_goes_to_the_wallet_of_a_customer_now_prepaid(world):
    org = world.open("postpaid", limit="100")
    charge = world.charge(org, "60")
    made = invoice(world, org)
    world.call("POST", f"/v1/organizations/{org}/payments", {"amount": "60", "method": "cash"})
    assert world.patch(org, {"payment_mode": "prepaid"}).status_code == 200
    assert refund(world, org, charge, "25").json["balance_after"] == "25.00"
    assert buckets(world, org) == Buckets(prepaid=25_000_000)
    assert read_invoice(world, org, made)[:3] == ("paid", "35.00", "25.00")


def test_customers_do_not_see_the_returned_cost(world):
    org = world.open(limit="10")
    charge = world.charge(org, "3", cost="1")
    given_back = refund(world, org, charge).json
    path = f"/v1/organizations/{org}/account/transactions"
    token = world.token("customer", "owner", org)
    shown = world.call("GET", f"{path}/{given_back['id']}", token=token).json
    assert "cost" not in shown
    assert {leg["account"] for leg in shown["entries"]} == {"revenue", "prepaid"}
    listed = {row["id"]: row["cost"] for row in world.call("GET", path).json["data"]}
    assert listed == {charge["id"]: "1.00", given_back["id"]: "-1.00"}


def test_a_prepaid_charge_is_refunded_to_an_account_now_postpaid(world):
    org = world.open(limit="100")
    world.top_up(org, "50")
    charge = world.charge(org, "30")
    world.patch(org, {"payment_mode": "postpaid"})
    refund(world, org, charge)
    assert buckets(world, org) == Buckets(surplus=50_000_000)


def test_captures_and_usage_in_bulk_are_refunded_like_charges(world):
    org = world.open()
    world.top_up(org, "100")
    held = world.post(org, "reservations", {"amount": "10", "description": "call"}).json
    path = f"reservations/{held['id']}/capture"
    assert world.post(org, path, {"amount": "4", "cost": "2"}).status_code == 200
    record = UsageRecord(
        world.provider_id, "one", org, 7_000_000, clock.now(), "Calls", cost=1_000_000
    )
    with world.database.transaction() as session:
        assert actions.record_usage(session, by=SYSTEM, records=[record], now=clock.now()) == [
            "accepted"
        ]
    shown = world.call("GET", f"/v1/organizations/{org}/account/transactions").json["data"]
    spent = {row["kind"]: row for row in shown if row["kind"] in ("usage", "capture")}
    assert refund(world, org, spent["capture"]).json["amount"] == "4.00"
    assert refund(world, org, spent["usage"]).json["amount"] == "7.00"
    assert world.account(org)["usable_credits"] == "100.00"
    (balance,) = world.call("GET", "/v1/wallet").json["data"]
    assert balance["balance"] == "0.00"


def test_only_charges_of_this_customer_that_moved_money_are_refundable(world):
    org, other = world.open(limit="10"), world.open(limit="10")
    topped_up = world.top_up(org, "10")
    elsewhere = world.charge(org, "5", external_invoice="A-1")
    anothers = world.charge(other, "5")
    charge = world.charge(org, "5")
    given_back = refund(world, org, charge, "1").json
    books = world.stored_rows(org)
    for wrong, code in (
        (topped_up, "not_refundable"),
        (elsewhere, "not_refundable"),
        (given_back, "not_refundable"),
        (anothers, "unknown_transaction"),
        ({"id": ids.new("txn")}, "unknown_transaction"),
    ):
        refused = refund(world, org, wrong)
        assert refused.status_code == 422
        assert [(error["pointer"], error["code"]) for error in refused.json["errors"]] == [
            ("/transaction_id", code)
        ]
    assert world.stored_rows(org) == books


def test_bad_input_changes_nothing(world):
    org = world.open(limit="10")
    body = {"transaction_id": world.charge(org, "5")["id"], "reason": "x"}
    books = world.stored_rows(org)
    for wrong in (
        {"reason": None},
        {"reason": " "},
        {"transaction_id": "txn_1"},
        {"transaction_id": None},
        {"amount": 1},
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "1e3"},
        {"amount": "1.0000001"},
        {"amount": "1000000000000"},
        {"amount": " 1"},
        {"amount": "١"},
        {"amount": None},
        {"more": 1},
    ):
        assert world.post(org, "refunds", body | wrong).status_code == 422, wrong
    assert world.post(org, "refunds", {}).status_code == 422
    assert world.stored_rows(org) == books


def test_a_frozen_account_is_refunded_and_a_closed_one_is_not(world):
    org = world.open(limit="10")
    world.top_up(org, "5")
    charge = world.charge(org, "5")
    with world.database.transaction() as session:
        actions.freeze_account(session, organization_id=org, now=clock.now())
    assert refund(world, org, charge, "1").status_code == 201
    world.withdraw(org, "1")
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id="d", now=clock.now())
    assert refund(world, org, charge).json["code"] == "account_closed"


def test_who_may_refund(world):
    org = world.open(limit="10")
    charge = world.charge(org, "5")
    for kind, role, expected in (
        ("customer", "owner", 403),
        ("provider", "support", 403),
        ("provider", "viewer", 403),
        ("provider", "billing", 201),
        ("provider", "manager", 201),
    ):
        token = world.token(kind, role, org if kind == "customer" else None)
        assert refund(world, org, charge, "1", token=token).status_code == expected
    assert refund(world, org, charge, key=None).json["code"] == "idempotency_key_required"
    assert (
        refund(world, world.open(), charge, token=world.token(org=ids.new("org"))).status_code
        == 404
    )


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_sixteen_concurrent_refunds_never_exceed_the_charge(world, mode):
    org = world.open(mode, limit="10")
    charge = world.charge(org, "10", cost="3.333333")

    def deallocate():
        return world.act(
            actions.refund,
            organization_id=org,
            transaction_id=charge["id"],
            amount=700_000,
            reason="x",
        )

    responses = at_once(*[deallocate] * THREADS)
    refused = [response for response in responses if isinstance(response, RefundExceedsCharge)]
    assert (len(refused), sum(isinstance(response, dict) for response in responses)) == (2, 14)
    world.act(actions.refund, organization_id=org, transaction_id=charge["id"], reason="x")
    assert buckets(world, org) == Buckets()
    with world.database.reading() as session:
        returned = session.scalars(
            select(Entry.amount).where(Entry.organization_id == org, Entry.credit == Code.COST)
        ).all()
    assert sum(returned) == 3_333_333
