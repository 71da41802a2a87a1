"""Invoices and the payments for them."""

from datetime import UTC, datetime, timedelta

import pytest
from billing.models import Invoice

from tests.console.browser import Browser
from tests.console.ledger import money as at
from tests.console.provider import Customer, Provider
from tests.console.system import Whole


def invoiced(provider: Provider, *totals: str, limit: str = "5000") -> tuple[Customer, list[str]]:
    """A postpaid customer with an invoice for each total; their ids."""
    customer = provider.customer(payment_mode="postpaid", credit_limit=limit, accept=False)
    ids = []
    for total in totals:
        customer.money("charges", amount=total, kind="usage", description="Calls")
        ids.append(customer.money("invoices")["id"])
    return customer, ids


def amounts(customer: Customer) -> list[str]:
    """What is paid of each invoice, oldest first."""
    return [one["paid"] for one in reversed(customer.staff("GET", "/invoices")["data"])]


def test_issuing_makes_the_unbilled_due(staff_console: Browser, provider: Provider) -> None:
    customer, _ = invoiced(provider, limit="100")
    customer.money("charges", amount="80", kind="usage", description="Calls")

    page = at(customer, staff_console, "invoices/issue")
    assert (
        page.facts["Unbilled"] == "−EUR 80.00 owed"
        and page.facts["Current usable credits"] == "EUR 20.00"
    )
    form = page.forms[-1]
    page = staff_console.submit()

    assert "for EUR 80.00 was issued." in page.banners[0] and page.rows[0][1] == "Awaiting payment"
    page = at(customer, staff_console, "payment")
    assert (
        page.facts["Usable credits"] == "EUR 100.00"
        and page.facts["Current balance"] == "−EUR 80.00 owed"
    )
    page = staff_console.send("POST", form.action, form.fields | {"key": "another"})
    assert page.status == 409 and "no unbilled charges" in page.text


def test_a_prepaid_account_has_nothing_to_invoice(
    staff_console: Browser, provider: Provider
) -> None:
    customer = provider.customer(accept=False)

    page = at(customer, staff_console, "invoices/issue")

    assert "charged immediately" in page.text and "Issue invoice" not in page.buttons
    assert "No invoices yet" in at(customer, staff_console, "invoices").headings


def test_a_payment_pays_the_oldest_first(staff_console: Browser, provider: Provider) -> None:
    customer, _ = invoiced(provider, "100", "200", "300", "400")
    path = staff_console.at(f"/c/{customer.id}/payments/record")
    assert staff_console.get(path).forms[-1].fields["amount"] == "1000.00"
    form = staff_console.page.forms[-1]
    filled = {**form.fields, "amount": "500", "method": "bank_transfer", "reference": "<TT>"}
    filled["confirmed"] = "yes"

    statuses = [staff_console.send("POST", path, filled).status for _ in range(2)]

    assert statuses == [303, 303] and amounts(customer) == ["100.00", "200.00", "200.00", "0.00"]
    page = staff_console.follow()
    assert "Payment of EUR 500.00 recorded." in page.banners and "<TT>" in page.text
    rows = at(customer, staff_console, "invoices").rows
    assert [row[1] for row in rows] == ["Awaiting payment", "Awaiting payment", "Paid", "Paid"]


def test_a_payment_pays_the_selected_invoices_and_is_reassigned(
    staff_console: Browser, provider: Provider
) -> None:
    customer, ids = invoiced(provider, "10", "20", "30")

    staff_console.post(
        staff_console.at(f"/c/{customer.id}/payments/record"),
        {"amount": "x", "method": "cash", f"pays_{ids[1]}": "on"},
    )
    assert (
        staff_console.page.status == 422
        and staff_console.page.forms[-1].fields[f"pays_{ids[1]}"] == "on"
    )
    staff_console.submit({"amount": "25"})
    assert amounts(customer) == ["0.00", "20.00", "0.00"]
    assert "5" in staff_console.page.rows[0]

    payment = customer.staff("GET", "/payments")["data"][0]["id"]
    path = staff_console.at(f"/c/{customer.id}/payments/{payment}/assign")
    page = staff_console.get(path)
    assert "Reassignments left: 5" in page.text and f"pays_{ids[1]}" in page.forms[-1].fields
    staff_console.submit({f"pays_{ids[1]}": None, f"pays_{ids[2]}": "on"})
    assert amounts(customer) == ["0.00", "0.00", "25.00"]

    for _ in range(2):
        staff_console.post(path, {f"pays_{ids[2]}": None})
        staff_console.post(path, {f"pays_{ids[2]}": "on"})
    page = staff_console.post(path, {f"pays_{ids[2]}": None})
    assert page.status == 409 and "five times" in page.text
    assert "0: reverse the payment instead" in at(customer, staff_console, "payments").rows[0]


def test_credit_that_was_left_pays_open_invoices(
    staff_console: Browser, provider: Provider
) -> None:
    customer, (_, second) = invoiced(provider, "10", "20")
    customer.money("payments", amount="15", method="cash", invoice_ids=[])
    at(customer, staff_console, "payments")

    page = staff_console.click("Pay from credit")
    assert page.facts["Amount due"] == "−EUR 15.00 owed"
    page = staff_console.submit()

    assert "Credit was allocated to 2 invoices." in page.banners[0]
    assert amounts(customer) == ["10.00", "5.00"]
    at(customer, staff_console, "payments/allocate")
    assert "Nothing was paid" in staff_console.submit().banners[0]
    page = at(customer, staff_console, f"invoices/{second}")
    assert ["Payment", "EUR 5.00"] in [row[:2] for row in page.rows]


def test_a_payment_of_a_prepaid_account_is_a_top_up(
    staff_console: Browser, provider: Provider
) -> None:
    customer = provider.customer(accept=False)

    page = staff_console.post(
        staff_console.at(f"/c/{customer.id}/payments/record"), {"amount": "5", "method": "cash"}
    )

    assert page.status == 409 and "Top up" in page.links


def test_an_invoice_shows_lines_payments_and_pdf(
    staff_console: Browser, provider: Provider
) -> None:
    customer, (invoice,) = invoiced(provider, "10")
    customer.money("payments", amount="4", method="cheque", reference="C-1")

    page = at(customer, staff_console, f"invoices/{invoice}")
    assert (
        page.facts["Total tax included"] == "EUR 10.00"
        and page.facts["Balance due"] == "−EUR 6.00 owed"
    )
    assert page.rows[0][:2] == ["Calls", "Usage"] and page.rows[1][0] == "Payment"
    assert staff_console.click("Record payment").forms[-1].fields[f"pays_{invoice}"] == "on"
    assert staff_console.page.forms[-1].fields["amount"] == "6.00"

    paper = at(customer, staff_console, f"invoices/{invoice}.pdf").response
    token = customer.provider._token
    api = provider.system.call(
        "GET", f"/v1/organizations/{customer.id}/invoices/{invoice}.pdf", None, token=token
    )
    assert paper.data == api.data and paper.data.startswith(b"%PDF")
    assert paper.headers["Content-Type"] == "application/pdf"
    assert paper.headers["Content-Disposition"] == api.headers["Content-Disposition"]


def test_an_overdue_invoice_shows_the_days(
    staff_console: Browser, provider: Provider, whole: Whole
) -> None:
    customer, (invoice, _) = invoiced(provider, "10", "11")
    now = datetime.now(UTC)
    with whole.databases["billing"].transaction() as session:
        stored = session.get_one(Invoice, (customer.id, invoice))
        stored.due_on, stored.due_until = (now - timedelta(days=9)).date(), now - timedelta(days=8)

    page = at(customer, staff_console, "invoices?overdue=true")

    assert len(page.rows) == 1 and page.rows[0][3].endswith(("9 days overdue", "10 days overdue"))
    assert "No invoices match" in at(customer, staff_console, "invoices?status=void").headings


def test_an_invoice_is_voided_or_credited(staff_console: Browser, provider: Provider) -> None:
    customer, (first, second) = invoiced(provider, "10", "20")

    at(customer, staff_console, f"invoices/{first}")
    assert "Void" in staff_console.page.links
    page = staff_console.post(
        staff_console.at(f"/c/{customer.id}/invoices/{first}/void"), {"reason": "wrong"}
    )
    assert "was voided." in page.banners[0] and customer.account["expecting_invoice"] == "-10.00"

    path = staff_console.at(f"/c/{customer.id}/invoices/{second}/credit")
    page = staff_console.post(path, {"amount": "21", "reason": "late"})
    assert page.status == 409 and "Remaining: EUR 20.00." in page.text
    page = staff_console.submit({"amount": "5"})
    assert (
        "EUR 5.00 of invoice" in page.banners[0] and page.facts["Balance due"] == "−EUR 15.00 owed"
    )
    assert "Void" not in page.links
    page = staff_console.post(staff_console.at(f"/c/{customer.id}/invoices/{second}/void"))
    assert page.status == 409 and "Payments" in page.links


def test_customers_see_their_own_invoices(console: Browser, provider: Provider) -> None:
    customer = provider.customer(payment_mode="postpaid", credit_limit="100")
    customer.money("charges", amount="10", kind="usage", description="Calls")
    invoice = customer.money("invoices")["id"]
    customer.owner.sign_in(console)

    page = at(customer, console, "invoices")
    assert page.status == 200 and not {"Record payment", "Issue invoice"} & set(page.links)
    page = at(customer, console, f"invoices/{invoice}")
    assert page.status == 200 and not {"Void", "Credit note", "Record payment"} & set(page.links)
    assert at(customer, console, f"invoices/{invoice}.pdf").response.data.startswith(b"%PDF")
    assert at(customer, console, "payments").status == 200
    refused = [at(customer, console, path).status for path in ("invoices/issue", "payments/record")]
    assert refused == [403, 403]


@pytest.mark.parametrize("path", ["invoices", "payments"])
def test_a_list_needs_few_statements(staff_console: Browser, provider: Provider, path: str) -> None:
    customer, _ = invoiced(provider, "1", "2", "3")
    customer.money("payments", amount="4", method="cash")

    assert len(staff_console.statements(staff_console.at(f"/c/{customer.id}/{path}"))) <= 12


@pytest.mark.parametrize(
    ("steps", "state", "figures"),
    [
        ([("write_off", "10")], "Written off", {"Written off": "EUR 10.00"}),
        ([("credit_note", "10")], "Credited", {"Credited": "EUR 10.00"}),
        (
            [("payment", "5"), ("credit_note", "3"), ("write_off", "2")],
            "Settled",
            {"Paid": "EUR 5.00", "Credited": "EUR 3.00", "Written off": "EUR 2.00"},
        ),
        ([("payment", "10")], "Paid", {"Paid": "EUR 10.00"}),
    ],
)
def test_an_invoice_says_what_settled_it(
    staff_console: Browser,
    provider: Provider,
    steps: list[tuple[str, str]],
    state: str,
    figures: dict[str, str],
) -> None:
    customer, (invoice,) = invoiced(provider, "10")
    for way, amount in steps:
        if way == "payment":
            customer.money("payments", amount=amount, method="cash")
        elif way == "credit_note":
            body = {"amount": amount, "reason": "late"}
            customer.staff("POST", f"/invoices/{invoice}/credit-notes", body)
        else:
            customer.money("adjustments", amount=amount, kind=way, reason="gone")

    (row,) = at(customer, staff_console, "invoices").rows
    assert row[1] == state
    page = at(customer, staff_console, f"invoices/{invoice}")
    shown = {name: page.facts[name] for name in figures}
    assert shown == figures
    assert {"Credited", "Written off"} & set(page.facts) == {"Credited", "Written off"} & set(
        figures
    )
    assert ("Paid on" in page.facts) == (state == "Paid")
    assert ("Settled on" in page.facts) == (state != "Paid")
