"""Payments: their allocation to invoices, the excess, and reassignment."""

from datetime import timedelta

import pytest
from billing import actions
from billing.actions.payments import reassignment
from billing.models import Account, Buckets
from billing.values import local_day, parse_money
from chassis.runtime import clock, ids
from sqlalchemy import event

from tests.billing.test_concurrency import THREADS, at_once


def bill(world, org, *amounts):
    """Issue an invoice for each amount; returns their ids."""
    made = []
    for amount in amounts:
        world.charge(org, amount, kind="one_off")
        response = world.call("POST", f"/v1/organizations/{org}/invoices", {})
        assert response.status_code == 201, response.json
        made.append(response.json["id"])
    return made


def customer(world, *amounts):
    """A postpaid customer with invoices over these amounts."""
    org = world.open("postpaid", limit="10000")
    return org, bill(world, org, *amounts)


def pay(world, org, amount, **more):
    token = more.pop("token", None)
    return world.call(
        "POST",
        f"/v1/organizations/{org}/payments",
        {"amount": amount, "method": "cash", **more},
        token=token,
    )


def assign(world, org, payment, *invoice_ids, **headers):
    path = f"/v1/organizations/{org}/payments/{payment['id']}"
    return world.call("PATCH", path, {"invoice_ids": list(invoice_ids)}, **headers)


def read(world, org, payment_id):
    return world.call("GET", f"/v1/organizations/{org}/payments/{payment_id}").json


def invoices(world, org):
    """Status and paid amount of each invoice, oldest first."""
    listed = world.call("GET", f"/v1/organizations/{org}/invoices").json["data"]
    return [(row["status"], row["paid"]) for row in sorted(listed, key=lambda row: row["id"])]


def shares(payment):
    return [(share["invoice_id"], share["amount"]) for share in payment["invoices"]]


def buckets(world, org):
    with world.database.reading() as session:
        return session.get_one(Account, org).buckets


def test_the_oldest_invoice_is_paid_first(world):
    """Invoices of 100, 200, 300 and 400, and a payment of 500."""
    org, (first, second, third, _) = customer(world, "100", "200", "300", "400")

    response = pay(world, org, "500", reference="TT 4711")

    assert response.status_code == 201
    payment = response.json
    assert shares(payment) == [(first, "100.00"), (second, "200.00"), (third, "200.00")]
    assert invoices(world, org) == [
        ("paid", "100.00"),
        ("paid", "200.00"),
        ("awaiting_payment", "200.00"),
        ("awaiting_payment", "0.00"),
    ]
    assert (payment["assigned"], payment["unassigned"], payment["edits_left"]) == (
        "500.00",
        "0.00",
        5,
    )
    assert (payment["status"], payment["reference"], payment["currency"]) == (
        "received",
        "TT 4711",
        "SGD",
    )
    assert payment["received_on"] == local_day(clock.now(), "Asia/Singapore").isoformat()
    assert world.account(org)["amount_due"] == "-500.00"
    path = f"/v1/organizations/{org}/account/transactions/{payment['transaction_id']}"
    transaction = world.call("GET", path).json
    assert (transaction["kind"], transaction["amount"]) == ("payment", "500.00")
    assert transaction["payment_id"] == payment["id"]
    assert [leg["account"] for leg in transaction["entries"]] == [
        "offline",
        "surplus",
        *["surplus", "invoiced"] * 3,
    ]
    assert read(world, org, payment["id"]) == payment
    assert world.last_published(org, "payment_received") == {
        "organization_id": org,
        "provider_id": world.provider_id,
        "payment_id": payment["id"],
        "amount": "500.00",
        "currency": "SGD",
        "method": "cash",
        "received_on": payment["received_on"],
        "unassigned": "0.00",
    }
    assert world.last_published(org, "audit_recorded")["action"] == "account.payment_recorded"


def test_the_excess_stays_as_surplus(world):
    org, (one,) = customer(world, "30")
    payment = pay(world, org, "50.000001").json
    assert (shares(payment), payment["unassigned"]) == ([(one, "30.00")], "20.000001")
    assert buckets(world, org) == Buckets(surplus=20_000_001)


def test_chosen_invoices_are_paid_in_the_order_given(world):
    org, (first, _, third) = customer(world, "10", "20", "30")
    payment = pay(world, org, "45", invoice_ids=[third, first]).json
    assert shares(payment) == [(first, "10.00"), (third, "30.00")]
    assert (payment["unassigned"], buckets(world, org).invoiced) == ("5.00", 20_000_000)
    payment = pay(world, org, "7", invoice_ids=[]).json
    assert (shares(payment), payment["unassigned"]) == ([], "7.00")
    assert invoices(world, org)[1] == ("awaiting_payment", "0.00")


def test_only_open_invoices_of_the_customer_can_be_paid(world):
    org, (paid, open_, void) = customer(world, "10", "20", "5")
    _, (anothers,) = customer(world, "10")
    payment = pay(world, org, "10").json
    world.act(actions.void_invoice, organization_id=org, invoice_id=void)
    books = world.stored_rows(org)
    for unknown in (anothers, ids.new("inv")):
        for refused in (
            pay(world, org, "1", invoice_ids=[open_, unknown]),
            assign(world, org, payment, open_, unknown),
        ):
            assert refused.status_code == 422
            assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [
                ("/invoice_ids/1", "unknown_invoice")
            ]
    for wrong in (paid, void):
        refused = pay(world, org, "1", invoice_ids=[open_, wrong])
        assert (refused.status_code, refused.json["code"], refused.json["invoice_id"]) == (
            409,
            "invoice_not_payable",
            wrong,
        )
    assert assign(world, org, payment, void).json["code"] == "invoice_not_payable"
    assert world.stored_rows(org) == books


def test_a_prepaid_account_takes_no_payments(world):
    refused = pay(world, world.open(), "1")
    assert (refused.status_code, refused.json["code"]) == (409, "account_prepaid")


def test_bad_input_changes_nothing(world):
    org, _ = customer(world, "10")
    books = world.stored_rows(org)
    for wrong in (
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": 1},
        {"amount": "1.0000001"},
        {"amount": None},
        {"amount": "1e2"},
        {"method": "paypal"},
        {"method": None},
        {"received_on": "2026-1-1"},
        {"received_on": "20260101"},
        {"received_on": "2026-W01-1"},
        {"received_on": "2026-02-30"},
        {"received_on": 1},
        {"received_on": None},
        {"received_on": "2999-01-01"},
        {"invoice_ids": "all"},
        {"invoice_ids": None},
        {"invoice_ids": ["inv_1"]},
        {"invoice_ids": [None]},
        {"reference": ""},
        {"reference": "x" * 256},
        {"remark": "x"},
    ):
        assert pay(world, org, **{"amount": "1", **wrong}).status_code == 422, wrong
    assert world.stored_rows(org) == books


def test_an_invoice_is_named_once_and_the_date_is_not_in_the_future(world):
    org, (one,) = customer(world, "10")
    today = local_day(clock.now(), "Asia/Singapore")
    assert pay(world, org, "1", invoice_ids=[one, one]).status_code == 422
    refused = pay(world, org, "1", received_on=(today + timedelta(days=1)).isoformat())
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [
        ("/received_on", "future")
    ]
    assert pay(world, org, "1", received_on="2020-02-29").json["received_on"] == "2020-02-29"


def test_a_payment_is_assigned_to_other_invoices(world):
    org, (_, second) = customer(world, "30", "40")
    payment = pay(world, org, "35").json
    response = assign(world, org, payment, second)
    assert response.status_code == 200
    assert (shares(response.json), response.json["edits_left"]) == ([(second, "35.00")], 4)
    assert invoices(world, org) == [("awaiting_payment", "0.00"), ("awaiting_payment", "35.00")]
    assert buckets(world, org) == Buckets(invoiced=35_000_000)
    assert world.account(org)["amount_due"] == "-35.00"
    path = f"/v1/organizations/{org}/account/transactions?kind=reassignment"
    (posted,) = world.call("GET", path).json["data"]
    assert (posted["amount"], posted["payment_id"]) == ("0.00", payment["id"])
    change = world.last_published(org, "audit_recorded")["changes"][0]
    assert [share["amount"] for share in change["before"]] == ["30.00", "5.00"]
    assert [share["amount"] for share in change["after"]] == ["35.00"]


def test_a_payment_is_unassigned_and_assigned_again(world):
    org, (one,) = customer(world, "30")
    payment = pay(world, org, "35").json
    assert invoices(world, org) == [("paid", "30.00")]
    nothing = assign(world, org, payment).json
    assert (shares(nothing), nothing["unassigned"]) == ([], "35.00")
    assert invoices(world, org) == [("awaiting_payment", "0.00")]
    assert shares(assign(world, org, payment, one).json) == [(one, "30.00")]
    assert invoices(world, org) == [("paid", "30.00")]
    assert buckets(world, org) == Buckets(surplus=5_000_000)


def test_an_assignment_cannot_exceed_what_is_left_of_the_payment(world):
    org, (first, second) = customer(world, "30", "40")
    payment = pay(world, org, "50", invoice_ids=[first]).json
    world.withdraw(org, "15")
    assert shares(assign(world, org, payment, second).json) == [(second, "35.00")]
    world.post(org, "top-ups", {"amount": "100", "method": "cash", "invoice_ids": []})
    reassigned = assign(world, org, payment, first, second).json
    assert shares(reassigned) == [(first, "30.00"), (second, "5.00")]
    assert (reassigned["assigned"], reassigned["unassigned"]) == ("35.00", "0.00")


def test_an_unchanged_assignment_is_no_edit(world):
    org, (first, second) = customer(world, "30", "40")
    payment = pay(world, org, "50").json
    books = world.stored_rows(org)
    for same in ((first, second),):
        response = assign(world, org, payment, *same)
        assert (response.status_code, response.json) == (200, payment)
    assert (
        world.call("PATCH", f"/v1/organizations/{org}/payments/{payment['id']}", {}).json == payment
    )
    assert world.stored_rows(org) == books


def test_at_most_five_reassignments(world):
    org, (first, second) = customer(world, "30", "40")
    payment = pay(world, org, "30").json
    for turn in range(5):
        response = assign(world, org, payment, (second, first)[turn % 2])
        assert (response.status_code, response.json["edits_left"]) == (200, 4 - turn)
    books = world.stored_rows(org)
    refused = assign(world, org, payment, first)
    assert (refused.status_code, refused.json["code"]) == (409, "payment_edits_exhausted")
    assert assign(world, org, payment, second).status_code == 200
    assert world.stored_rows(org) == books


def test_an_assignment_changed_in_the_meantime_is_not_overwritten(world):
    org, (first, second) = customer(world, "30", "40")
    payment = pay(world, org, "30").json
    tag = world.call("GET", f"/v1/organizations/{org}/payments/{payment['id']}").headers["ETag"]
    changed = assign(world, org, payment, second, If_Match=tag)
    assert changed.status_code == 200
    assert assign(world, org, payment, first, If_Match=tag).status_code == 412
    assert assign(world, org, payment, first, If_Match=changed.headers["ETag"]).status_code == 200


def test_invoices_of_a_bounced_payment_are_due_again(world):
    org, (first, second) = customer(world, "30", "40")
    payment = pay(world, org, "50", method="cheque").json
    assign(world, org, payment, second)
    path = f"transactions/{payment['transaction_id']}/reverse"
    response = world.post(org, path, {"reason": "bounced"})
    assert response.status_code == 201
    assert [
        (leg["account"], leg["debit"])
        for leg in response.json["entries"]
        if leg["credit"] == "0.00"
    ] == [("invoiced", "40.00"), ("surplus", "50.00")]
    assert invoices(world, org) == [("awaiting_payment", "0.00")] * 2
    assert buckets(world, org) == Buckets(invoiced=70_000_000)
    shown = read(world, org, payment["id"])
    assert (shown["status"], shown["assigned"], shown["unassigned"]) == ("reversed", "0.00", "0.00")
    assert assign(world, org, payment, first).json["code"] == "payment_reversed"
    assert world.post(org, path, {"reason": "bounced"}).json["code"] == "already_reversed"


def test_the_spent_part_of_a_bounced_payment_is_owed_again(world):
    org, _ = customer(world, "30")
    payment = pay(world, org, "50").json
    world.withdraw(org, "15")
    path = f"transactions/{payment['transaction_id']}/reverse"
    assert world.post(org, path, {"reason": "bounced"}).status_code == 201
    assert buckets(world, org) == Buckets(invoiced=30_000_000, unbilled=15_000_000)
    issued = world.call("POST", f"/v1/organizations/{org}/invoices", {})
    assert issued.status_code == 201, issued.json
    assert [(line["kind"], line["amount"]) for line in issued.json["lines"]] == [
        ("reversal", "15.00")
    ]


def test_a_payment_that_bounces_after_a_change_to_prepaid_is_taken_from_the_wallet(world):
    org, _ = customer(world, "30")
    payment = pay(world, org, "50").json
    assert world.patch(org, {"payment_mode": "prepaid"}).status_code == 200
    refused = assign(world, org, payment)
    assert refused.json["code"] == "account_prepaid"
    assert (
        world.post(
            org, f"transactions/{payment['transaction_id']}/reverse", {"reason": "x"}
        ).status_code
        == 201
    )
    assert buckets(world, org) == Buckets(prepaid=-30_000_000)


def test_goodwill_settles_open_invoices_then_the_unbilled_amount(world):
    org, _ = customer(world, "30", "40")
    world.charge(org, "20")
    pay(world, org, "10")
    credited = world.adjust(org, "85", "goodwill")
    assert invoices(world, org) == [("paid", "10.00"), ("paid", "0.00")]
    assert buckets(world, org) == Buckets(unbilled=0, surplus=5_000_000)
    world.withdraw(org, "5")
    assert (
        world.post(org, f"transactions/{credited['id']}/reverse", {"reason": "x"}).status_code
        == 201
    )
    assert invoices(world, org) == [("awaiting_payment", "10.00"), ("awaiting_payment", "0.00")]
    assert buckets(world, org) == Buckets(invoiced=60_000_000, unbilled=25_000_000)


def test_a_credit_note_deallocates_the_payments_of_the_invoice(world):
    org = world.open("postpaid", limit="1000")
    world.top_up(org, "5")
    (one,) = bill(world, org, "100")
    first, second = (pay(world, org, amount).json for amount in ("60", "35"))

    world.act(
        actions.issue_credit_note,
        organization_id=org,
        invoice_id=one,
        amount=parse_money("50"),
        reason="late",
    )

    assert invoices(world, org) == [("paid", "50.00")]
    assert [shares(read(world, org, payment["id"])) for payment in (first, second)] == [
        [(one, "45.00")],
        [],
    ]
    assert buckets(world, org) == Buckets(surplus=50_000_000)
    assert shares(assign(world, org, first).json) == []
    assert invoices(world, org) == [("awaiting_payment", "5.00")]
    assert shares(assign(world, org, second, one).json) == [(one, "35.00")]


def test_a_list_of_payments_needs_the_same_queries_for_one_as_for_many(world):
    org, made = customer(world, *["2"] * 4)
    listed = [pay(world, org, "1", invoice_ids=[one]).json for one in made]
    statements = []

    def count(connection, cursor, statement, parameters, context, many):
        statements.append(statement)

    def read_page(limit, cursor=""):
        statements.clear()
        event.listen(world.database.engine, "before_cursor_execute", count)
        page = world.call("GET", f"/v1/organizations/{org}/payments?limit={limit}{cursor}").json
        event.remove(world.database.engine, "before_cursor_execute", count)
        return page, len(statements)

    everything, times = read_page(200)
    assert (everything["data"], everything["has_more"]) == (listed[::-1], False)
    first, times_for_one = read_page(1)
    assert (first["data"], times_for_one) == (listed[:-2:-1], times)
    following, _ = read_page(1, f"&cursor={first['next_cursor']}")
    assert following["data"] == listed[-2:-3:-1]
    other, _ = customer(world)
    refused = world.call(
        "GET", f"/v1/organizations/{other}/payments?limit=1&cursor={first['next_cursor']}"
    )
    assert refused.status_code == 422


def test_who_may_see_and_record_payments(world):
    org, (one,) = customer(world, "10")
    payment = pay(world, org, "1").json
    path = f"/v1/organizations/{org}/payments"
    other = world.open("postpaid", limit="1")
    for kind, role, reads, writes in (
        ("provider", "viewer", 200, 403),
        ("provider", "support", 200, 403),
        ("provider", "billing", 200, 200),
        ("customer", "owner", 200, 403),
        ("customer", "admin", 200, 403),
        ("customer", "member", 403, 403),
    ):
        token = world.token(kind, role, org if kind == "customer" else None)
        for at in (path, f"{path}/{payment['id']}"):
            assert world.call("GET", at, token=token).status_code == reads
        assert pay(world, org, "1", token=token).status_code == (201 if writes == 200 else writes)
        assert assign(world, org, payment, one, token=token).status_code == writes
    for token in (world.token(org=ids.new("org")), world.token("customer", "owner", other)):
        assert world.call("GET", f"{path}/{payment['id']}", token=token).status_code == 404
    for unknown in (ids.new("pay"), ids.new("txn"), "pay_1"):
        assert world.call("GET", f"{path}/{unknown}").status_code == 404
        assert assign(world, org, {"id": unknown}, one).status_code == 404
    assert (
        world.call("GET", f"/v1/organizations/{other}/payments/{payment['id']}").status_code == 404
    )
    assert world.call("POST", path, {"amount": "1", "method": "cash"}, key=None).status_code == 400


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_concurrent_payments_never_overpay_an_invoice(world):
    org, made = customer(world, "10", "7")

    def record():
        return world.act(
            actions.record_payment, organization_id=org, amount=1_500_000, method="cash"
        )

    responses = at_once(*[record] * THREADS)
    assert all(isinstance(response, dict) for response in responses)
    assert invoices(world, org) == [("paid", "10.00"), ("paid", "7.00")]
    assert buckets(world, org) == Buckets(surplus=24_000_000 - 17_000_000)
    got = [share for response in responses for share in shares(response)]
    for one, total in zip(made, (10, 7), strict=True):
        assert sum(float(amount) for invoice_id, amount in got if invoice_id == one) == total


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_concurrent_reassignments_count_each_edit_and_at_most_five(world):
    org, (first, second) = customer(world, "30", "40")
    payment = pay(world, org, "30").json

    def edit(invoice_id):
        return lambda: world.act(
            actions.assign_payment,
            organization_id=org,
            payment_id=payment["id"],
            patch={"invoice_ids": [invoice_id]},
            check=lambda current: None,
        )

    responses = at_once(*[edit(invoice_id) for invoice_id in (first, second) * 8])
    refused = [
        response
        for response in responses
        if isinstance(response, reassignment.PaymentEditsExhausted)
    ]
    assert all(
        isinstance(response, dict | reassignment.PaymentEditsExhausted) for response in responses
    )
    left = read(world, org, payment["id"])["edits_left"]
    assert (left == 0) or not refused
    assert buckets(world, org).invoiced == 40_000_000
