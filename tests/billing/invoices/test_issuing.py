"""Invoices issued: what is due, their lines, and what never changes."""

import json
import sys
from datetime import timedelta

from billing import queries
from billing.models import Account
from chassis.runtime import clock

from tests.billing.invoices.books import check_books, choose, figures, issue, listed, names, read


def test_issuing_makes_the_unbilled_amount_due_and_frees_the_limit(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "80")
    assert figures(world, org) == ("20.00", "-80.00", "0.00", "-80.00")
    invoice = issue(world, org)
    assert figures(world, org) == ("100.00", "0.00", "-80.00", "-80.00")
    assert (invoice["total"], invoice["open"], invoice["status"]) == (
        "80.00",
        "80.00",
        "awaiting_payment",
    )
    assert (invoice["kind"], invoice["number"]) == ("consolidated", f"{org[-10:].upper()}-0001")
    assert [line["amount"] for line in invoice["lines"]] == ["80.00"]
    assert (invoice["seller"]["name"], invoice["buyer"]["billing"]) == (
        "Provider",
        {"email": "bills@acme.example"},
    )
    today = clock.now() + timedelta(hours=8)
    assert invoice["issued_on"] == today.date().isoformat()
    assert invoice["due_on"] == (today.date() + timedelta(days=14)).isoformat()
    published = world.last_published(org, "invoice_issued")
    assert (published["invoice_id"], published["open"], published["email"]) == (
        invoice["id"],
        "80.00",
        "bills@acme.example",
    )
    assert world.last_published(org, "balance_changed")["usable_credits"] == "100.00"
    assert world.last_published(org, "audit_recorded")["action"] == "invoice.issued"
    check_books(world, org)


def test_there_must_be_something_to_invoice(world):
    for org in (world.open("postpaid", limit="10"), world.open(limit="10")):
        world.charge(org, "1") if world.account(org)["payment_mode"] == "prepaid" else None
        assert issue(world, org, 409)["code"] == "nothing_to_invoice"
    org = world.open("postpaid", limit="10")
    world.charge(org, "5")
    world.adjust(org, "5", "goodwill")
    assert issue(world, org, 409)["code"] == "nothing_to_invoice"


def test_issuing_needs_an_idempotency_key_and_happens_once(world):
    org = world.open("postpaid", limit="10")
    world.charge(org, "1")
    path = f"/v1/organizations/{org}/invoices"
    assert world.call("POST", path, {}, key=None).json["code"] == "idempotency_key_required"
    first, again = (world.call("POST", path, {}, key="once") for _ in range(2))
    assert (first.status_code, again.json, len(listed(world, org))) == (201, first.json, 1)


def test_a_surplus_pays_the_oldest_first(world):
    org = world.open("postpaid", limit="1000")
    old = []
    for amount in ("100", "200"):
        world.charge(org, amount)
        old.append(issue(world, org))
    world.top_up(org, "250")
    assert world.account(org)["amount_due"] == "-50.00"
    world.charge(org, "300")
    new = issue(world, org)
    assert [read(world, org, i["id"])["paid"] for i in (*old, new)] == ["100.00", "150.00", "0.00"]
    assert [i["status"] for i in listed(world, org)] == [
        "awaiting_payment",
        "awaiting_payment",
        "paid",
    ]
    assert world.last_published(org, "invoice_paid")["invoice_id"] == old[0]["id"]
    check_books(world, org)


def test_an_invoice_covered_by_surplus_is_paid_at_once(world):
    org = world.open("postpaid", limit="10")
    world.top_up(org, "100")
    world.charge(org, "60")
    before = world.account(org)["current_balance"]
    invoice = issue(world, org)
    assert (invoice["status"], invoice["paid"], invoice["open"]) == ("paid", "60.00", "0.00")
    assert invoice["paid_at"] is not None
    assert figures(world, org) == ("50.00", "0.00", "40.00", before)
    assert world.last_published(org, "invoice_issued")["open"] == "0.00"
    assert names(world, org) == ["invoice_issued", "invoice_paid"]


def test_the_lines_of_an_invoice(world):
    org = world.open("postpaid", limit="1000")
    world.charge(org, "1.000001", description="First", cost="0.5")
    world.charge(org, "5", external_invoice="E-1")
    world.adjust(org, "0.5", "goodwill")
    held = world.post(org, "reservations", {"amount": "9", "description": "A call"}).json
    world.post(org, f"reservations/{held['id']}/capture", {"amount": "7"})
    world.top_up(org, "1")
    world.adjust(org, "-3")
    invoice = issue(world, org)
    assert [(line["kind"], line["description"], line["amount"]) for line in invoice["lines"]] == [
        ("usage", "First", "1.000001"),
        ("goodwill", "Goodwill", "-0.50"),
        ("capture", "A call", "7.00"),
        ("correction", "Correction", "2.00"),
    ]
    assert (invoice["total"], invoice["from_seq"]) == ("9.500001", 1)
    assert "cost" not in json.dumps(invoice)
    check_books(world, org)


def test_an_issued_invoice_does_not_change_later(world):
    org = world.open("postpaid", limit="1000")
    for number in range(3):
        world.charge(org, "1.5", description=f"Call {number}")
    first = issue(world, org)
    with world.database.transaction() as session:
        account = session.get_one(Account, org)
        account.name, account.billing, account.buyer_tags = (
            "Other",
            {"email": "x@y.example"},
            {"TypeRef": "1"},
        )
    choose(
        world, tax_rates=[{"country": "SG", "name": "GST", "rate": "9", "valid_from": "2020-01-01"}]
    )
    world.charge(org, "4")
    second = issue(world, org)
    assert json.dumps(read(world, org, first["id"])) == json.dumps(first)
    assert (second["buyer"]["name"], second["tax_breakdown"][0]["name"], len(second["lines"])) == (
        "Other",
        "GST",
        1,
    )
    with world.database.reading() as session:
        document = queries.invoice_document(session, org, first["id"])
    assert json.loads(json.dumps(document)) == document
    shown = {name: value for name, value in document.items() if name in first}
    assert shown == {name: first[name] for name in shown}
    assert document.keys() - first.keys() == {"timezone", "paid_by_credits"}


def test_an_invoice_with_very_many_lines_groups_usage_by_day(world, monkeypatch):
    org = world.open(mode="postpaid", limit="1000")
    for _ in range(3):
        world.charge(org, "1.000001")
    world.charge(org, "20", kind="one_off")
    first = issue(world, org)
    assert len(first["lines"]) == 4
    monkeypatch.setattr(sys.modules["billing.queries.invoice_lines"], "MAX_LINES", 3)
    shown = read(world, org, first["id"])
    assert [(line["description"], line["amount"]) for line in shown["lines"]] == [
        ("Usage, 3 records", "3.000003"),
        ("Calls", "20.00"),
    ]
    assert [line["transaction_id"] is None for line in shown["lines"]] == [True, False]
    assert shown["lines"][0]["occurred_at"][:10] == first["lines"][0]["occurred_at"][:10]


def test_the_seller_on_an_invoice_is_the_company_without_its_logo(world):
    choose(world, company={"name": "Provider Ltd", "logo": "iVBORw0KGgo="})
    org = world.open("postpaid", limit="100")
    world.charge(org, "1")
    assert issue(world, org)["seller"]["company"] == {"name": "Provider Ltd"}
