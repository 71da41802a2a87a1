"""Invoices issued manually and by charges, voided and credited: lines, payments, and what never
changes."""

import json
import random
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from billing import actions, queries
from billing.models import Account, CreditNote, Entry, Invoice
from billing.values import extract_tax
from chassis.runtime import clock, ids
from sqlalchemy import event, select

from tests.billing.conftest import CLERK

MILLION = 1_000_000


def choose(world, version=1, **settings):
    with world.database.transaction() as session:
        actions.apply_settings(
            session, provider_id=world.provider_id, version=version, settings=settings
        )


def issue(world, org, status=201):
    response = world.call("POST", f"/v1/organizations/{org}/invoices", {})
    assert response.status_code == status, response.json
    return response.json


def read(world, org, invoice_id):
    response = world.call("GET", f"/v1/organizations/{org}/invoices/{invoice_id}")
    assert response.status_code == 200, response.json
    return response.json


def listed(world, org, query=""):
    response = world.call("GET", f"/v1/organizations/{org}/invoices{query}")
    assert response.status_code == 200, response.json
    return response.json["data"]


def do(world, org, invoice, what, body=None, status=None):
    response = world.call(
        "POST", f"/v1/organizations/{org}/invoices/{invoice['id']}/{what}", body or {}
    )
    assert response.status_code == (status or (200 if what == "void" else 201)), response.json
    return response.json


def credit(world, org, invoice, amount=None, status=None):
    body = {"reason": "agreed", **({"amount": amount} if amount else {})}
    return do(world, org, invoice, "credit-notes", body, status)


def figures(world, org):
    shown = world.account(org)
    return tuple(
        shown[name]
        for name in ("usable_credits", "expecting_invoice", "amount_due", "current_balance")
    )


def names(world, org):
    return [name for name, _ in world.published(org) if "invoice" in name or "credit_note" in name]


def check_books(world, org):
    """Every invoice matches its rows, regular ones have no gaps, and nothing unbilled is lost."""
    with world.database.reading() as session:
        account = session.get_one(Account, org)
        rows = session.scalars(
            select(Entry).where(Entry.organization_id == org).order_by(Entry.seq)
        ).all()
        invoices = session.scalars(
            select(Invoice).where(Invoice.organization_id == org).order_by(Invoice.id)
        ).all()
        notes = session.scalars(select(CreditNote).where(CreditNote.organization_id == org)).all()
        shown = {
            invoice.id: queries.show_invoice(session, invoice, clock.now()) for invoice in invoices
        }
    end = 0
    for invoice in sorted((i for i in invoices if i.is_regular), key=lambda i: i.to_seq):
        assert invoice.from_seq == end + 1
        end = invoice.to_seq
    assert end == account.invoiced_seq
    for invoice in invoices:
        mine = [r for r in rows if r.invoice_id == invoice.id]
        paid = sum(
            r.amount * ((r.credit == 4) - (r.debit == 4)) for r in mine if 2 in (r.debit, r.credit)
        )
        credited = sum(
            r.amount * ((r.credit == 4) - (r.debit == 4))
            for r in mine
            if not {2, 3} & {r.debit, r.credit}
        )
        assert (invoice.paid, invoice.credited) == (paid, credited)
        assert invoice.status == (
            "void"
            if invoice.voided_at
            else "paid"
            if paid + credited == invoice.total
            else "awaiting_payment"
        )
        assert sum(cents(line["amount"]) for line in shown[invoice.id]["lines"]) == invoice.total
        assert sum(n.tax for n in notes if n.invoice_id == invoice.id) <= invoice.tax
    assert account.invoiced == sum(invoice.open for invoice in invoices)
    into = sum(
        r.amount * ((r.debit == 3) - (r.credit == 3)) for r in rows if 4 not in (r.debit, r.credit)
    )
    assert (
        sum(invoice.total for invoice in invoices if invoice.status != "void") + account.unbilled
        == into
    )


def cents(text):
    return round(float(text) * MILLION)


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
    assert (second["buyer"]["name"], second["tax_name"], len(second["lines"])) == (
        "Other",
        "GST",
        1,
    )
    with world.database.reading() as session:
        document = queries.invoice_document(session, org, first["id"])
    assert json.loads(json.dumps(document)) == document
    assert {name: first[name] for name in document if name != "timezone"} == {
        name: value for name, value in document.items() if name != "timezone"
    }


@pytest.mark.parametrize(
    ("total", "rate", "tax"),
    [
        ("109", "9", "9.00"),
        ("100", "8.1", "7.493062"),
        ("0.000001", "100", "0.00"),
        ("0.000003", "100", "0.000002"),
        ("0.000005", "100", "0.000002"),
        ("0.000007", "100", "0.000004"),
        ("12.5", "0", "0.00"),
    ],
)
def test_tax_is_extracted_from_the_total_half_even(world, total, rate, tax):
    choose(
        world,
        tax_rates=[{"country": "SG", "name": "GST", "rate": rate, "valid_from": "2020-01-01"}],
    )
    org = world.open("postpaid", limit="1000")
    world.charge(org, total)
    invoice = issue(world, org)
    assert (invoice["tax"], invoice["tax_rate"]) == (tax, rate)
    assert cents(invoice["net"]) + cents(tax) == cents(total)


def test_the_tax_is_that_of_the_country_on_the_day(world):
    tomorrow = (clock.now() + timedelta(days=2)).date().isoformat()
    rates = [
        ("SG", "old", "97", "2010-01-01"),
        ("SG", "now", "9", "2024-01-01"),
        ("SG", "next", "10", tomorrow),
        ("DE", "other", "19", "2025-01-01"),
    ]
    choose(
        world,
        tax_rates=[
            dict(zip(("country", "name", "rate", "valid_from"), rate, strict=True))
            for rate in rates
        ],
    )
    org = world.open("postpaid", limit="1000")
    world.charge(org, "10")
    assert issue(world, org)["tax_name"] == "now"
    choose(world, version=2, payment_terms_days=0)
    world.charge(org, "10")
    bare = issue(world, org)
    assert (bare["tax"], bare["tax_name"], bare["tax_rate"], bare["due_on"]) == (
        "0.00",
        None,
        None,
        bare["issued_on"],
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


def covering(world, org, transaction):
    with world.database.reading() as session:
        row = queries.rows_of(session, org, transaction["id"])[0]
        current = queries.invoice_of(session, session.get_one(Account, org), row)
        return current and current.id


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


def test_an_individually_invoiced_charge_is_invoiced_at_once(world):
    choose(world, invoicing="individual")
    org = world.open("postpaid", limit="100")
    world.charge(org, "3")
    charged = world.charge(org, "90", kind="subscription", description="Seat", cost="5")
    (invoice,) = listed(world, org)
    assert (invoice["kind"], invoice["total"], invoice["from_seq"], invoice["to_seq"]) == (
        "individual",
        "90.00",
        2,
        3,
    )
    assert [line["description"] for line in read(world, org, invoice["id"])["lines"]] == ["Seat"]
    assert figures(world, org) == ("97.00", "-3.00", "-90.00", "-93.00")
    assert (charged["amount"], charged["balance_after"]) == ("-90.00", "-93.00")
    assert covering(world, org, charged) == invoice["id"]
    world.top_up(org, "100")
    world.charge(org, "4", kind="one_off")
    assert [i["status"] for i in listed(world, org)] == ["paid", "paid"]
    usage = issue(world, org)
    assert (usage["kind"], usage["total"], usage["number"][-4:]) == ("usage", "3.00", "0003")
    assert [line["kind"] for line in usage["lines"]] == ["usage"]
    assert names(world, org) == [
        "invoice_issued",
        "invoice_issued",
        "invoice_paid",
        "invoice_paid",
        "invoice_issued",
        "invoice_paid",
    ]
    check_books(world, org)


def test_the_charge_of_a_voided_individual_invoice_goes_on_the_next(world):
    choose(world, invoicing="individual")
    org = world.open("postpaid", limit="100")
    charged = world.charge(org, "20", kind="one_off")
    (alone,) = listed(world, org)
    do(world, org, alone, "void")
    assert covering(world, org, charged) is None
    world.charge(org, "1")
    usage = issue(world, org)
    assert [line["amount"] for line in usage["lines"]] == ["20.00", "1.00"]
    assert covering(world, org, charged) == usage["id"]
    check_books(world, org)


@pytest.mark.parametrize(
    ("invoicing", "mode"),
    [("individual", "prepaid"), ("consolidated", "postpaid"), ("none", "postpaid")],
)
def test_other_charges_wait_for_the_next_invoice(world, invoicing, mode):
    choose(world, invoicing=invoicing)
    org = world.open(mode, limit="100")
    world.charge(org, "20", kind="one_off")
    assert listed(world, org) == []
    if mode == "postpaid":
        assert issue(world, org)["kind"] == invoicing


def test_a_charge_on_an_external_invoice_is_not_invoiced_here(world):
    choose(world, invoicing="individual")
    org = world.open("postpaid", limit="100")
    world.charge(org, "20", kind="one_off", external_invoice="X")
    assert listed(world, org) == []


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


def test_lists_and_their_filters(world):
    org = world.open("postpaid", limit="1000")
    made = []
    for _ in range(3):
        world.charge(org, "10")
        made.insert(0, issue(world, org))
    do(world, org, made[0], "void")
    credit(world, org, made[1])
    today = made[0]["issued_on"]
    yesterday = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    for query, expected in {
        "": [0, 1, 2],
        "?status=void": [0],
        "?status=paid": [1],
        "?status=awaiting_payment": [2],
        "?status=draft": [],
        "?overdue=true": [],
        "?overdue=false": [0, 1, 2],
        f"?from={today}&to={today}": [0, 1, 2],
        f"?to={yesterday}": [],
        "?from=2999-01-01": [],
    }.items():
        assert [i["id"] for i in listed(world, org, query)] == [made[n]["id"] for n in expected], (
            query
        )
    assert "lines" not in listed(world, org)[0]
    page = world.call("GET", f"/v1/organizations/{org}/invoices?limit=2").json
    rest = listed(world, org, f"?limit=2&cursor={page['next_cursor']}")
    assert [i["id"] for i in page["data"] + rest] == [i["id"] for i in made]
    foreign = f"?status=void&cursor={page['next_cursor']}"
    for bad in (
        "?status=x",
        "?overdue=perhaps",
        "?overdue=on",
        "?from=yesterday",
        "?limit=0",
        foreign,
    ):
        assert world.call("GET", f"/v1/organizations/{org}/invoices{bad}").status_code == 422, bad


def test_a_long_invoice_is_read_by_one_query(world):
    org = world.open("postpaid", limit="1000")
    for _ in range(5):
        world.charge(org, "1")
    invoice = issue(world, org)
    statements = []
    event.listen(
        world.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    read(world, org, invoice["id"])
    assert len([s for s in statements if "journal" in s]) == 1


def test_who_may_read_and_issue_invoices(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    invoice = issue(world, org)
    path = f"/v1/organizations/{org}/invoices"
    for role, status in (("owner", 200), ("admin", 200), ("member", 403)):
        token = world.token("customer", role, org)
        assert world.call("GET", f"{path}/{invoice['id']}", token=token).status_code == status
        assert (
            world.call("POST", f"{path}/{invoice['id']}/void", {}, token=token).status_code == 403
        )
    stranger = world.token("customer", "owner", world.open())
    for method, where in (("GET", path), ("GET", f"{path}/{invoice['id']}"), ("POST", path)):
        assert (
            world.call(method, where, {} if method == "POST" else None, token=stranger).status_code
            == 404
        )
    other = world.open("postpaid", limit="1")
    for wrong in (invoice["id"], invoice["id"].upper(), "inv_x", ids.new("inv"), ids.new("txn")):
        assert world.call("GET", f"/v1/organizations/{other}/invoices/{wrong}").status_code == 404
        assert do(world, other, {"id": wrong}, "void", status=404)["code"] == "not_found"
        assert credit(world, other, {"id": wrong}, status=404)["code"] == "not_found"


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


def test_an_overdue_invoice_is_published_once_after_its_last_day_in_its_time_zone(world):
    choose(world, payment_terms_days=3)
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    issued = datetime(2031, 3, 10, 12, tzinfo=UTC)
    with world.database.transaction() as session:
        actions.issue_invoice(session, organization_id=org, now=issued, by=CLERK)
    midnight = datetime(2031, 3, 13, 16, tzinfo=UTC)  # the 14th begins in Singapore
    instants = (midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=9))
    for now, times in zip(instants, (0, 1, 1), strict=True):
        while run_action(world, actions.flag_overdue_invoices, now):
            pass
        assert names(world, org).count("invoice_overdue") == times
    published = world.last_published(org, "invoice_overdue")
    assert (published["due_on"], published["open"]) == ("2031-03-13", "10.00")
    with world.database.reading() as session:
        (invoice,) = session.scalars(queries.invoices(org, now=midnight, overdue=True))
        assert queries.show_invoice_row(invoice, midnight)["overdue"]
        assert not session.scalars(queries.invoices(org, now=instants[0], overdue=True)).all()


def run_action(world, job, now):
    with world.database.transaction() as session:
        return job(session, now=now)


def test_the_credit_notes_of_an_invoice_contain_exactly_its_tax(world):
    choose(
        world,
        tax_rates=[{"country": "SG", "name": "GST", "rate": "8.1", "valid_from": "2020-01-01"}],
    )
    org = world.open("postpaid", limit="100")
    world.charge(org, "67.66666")
    invoice = issue(world, org)
    written_off = world.adjust(org, "33.333333", "write_off")
    credit(world, org, invoice, "33.333333")
    credit(world, org, invoice, "0.999994")
    assert (
        world.post(org, f"transactions/{written_off['id']}/reverse", {"reason": "x"}).status_code
        == 201
    )
    notes = credit(world, org, invoice)["credit_notes"]
    assert sum(cents(note["tax"]) for note in notes) == cents(invoice["tax"])
    check_books(world, org)


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
