"""Figures with their formulas, postings, terms."""

from datetime import UTC, datetime, timedelta

import pytest
from billing.models import Account

from tests.console.browser import Browser
from tests.console.ledger import charge, money, postpaid, prepaid
from tests.console.provider import Provider
from tests.console.system import Whole

BALANCE = "Current balance = expecting invoice + amount due"
USABLE = "Usable = limit + overpaid + expecting invoice − reserved"


def test_a_prepaid_balance_is_explained(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "100", "2000")
    charge(customer, "13.89852")

    page = money(customer, staff_console)

    assert page.facts["Usable credits"] == "EUR 2,086.10148"
    assert page.facts["Balance"] == "EUR 86.10148"
    assert page.facts["Balance = usable − limit"] == "86.10148 = 2,086.10148 − 2,000.00"
    assert page.facts["Credit limit permanent"] == "EUR 2,000.00"
    assert "using its credit limit" not in page.text
    assert page.facts["Days to empty"].startswith("2,101 days around ")


def test_a_used_limit_is_red_and_explained(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "100", "100")
    charge(customer, "108.67")

    page = money(customer, staff_console)

    assert page.facts["Balance = usable − limit"] == "−8.67 = 91.33 − 100.00"
    assert [one.text for one in page.top.find("span", class_="owed")] == ["−EUR 8.67 owed"]
    assert "EUR 91.33" in [one.text for one in page.top.find("span", class_="held")]
    assert "using its credit limit: EUR 8.67 of EUR 100.00 used." in page.text


def test_reservations_are_listed_and_released(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "50", "100")
    customer.money("reservations", amount="30", description="Call <to> Surabaya")

    page = money(customer, staff_console)
    assert page.facts["Usable = wallet − reserved + limit"] == "120.00 = 50.00 − 30.00 + 100.00"
    assert page.rows[0][:2] == ["Call <to> Surabaya", "EUR 30.00"]

    page = staff_console.click("Release Call <to> Surabaya")
    assert customer.account["reserved_credits"] == "30.00"
    page = staff_console.submit()

    assert "Released EUR 30.00." in page.banners
    assert page.facts["Usable credits"] == "EUR 150.00" and "No reservations." in page.text


def test_a_reservation_shows_what_it_still_holds(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "50", "100")
    held = customer.money("reservations", amount="10", description="A call")
    customer.money(f"reservations/{held['id']}/capture", amount="4", final=False)

    page = money(customer, staff_console)
    assert page.rows[0][1] == "EUR 6.00 EUR 4.00 charged so far"
    assert customer.account["reserved_credits"] == "6.00"
    page = staff_console.click("Release A call")
    assert page.facts["Still reserved"] == "EUR 6.00"


@pytest.mark.parametrize(
    ("due", "unbilled", "figures"),
    [
        (
            "-1610.61",
            "0.20544",
            {
                "Amount due billed": "−EUR 1,610.61 owed",
                "Expecting invoice unbilled": "−EUR 0.20544 owed",
                "Current balance": "−EUR 1,610.81544 owed",
                "Usable credits": "EUR 1,999.79456",
                BALANCE: "−1,610.81544 = (−0.20544) + (−1,610.61)",
                USABLE: "1,999.79456 = 2,000.00 + 0.00 + (−0.20544) − 0.00",
            },
        ),
        (
            "65.98",
            "0.000009",
            {
                "Amount due billed": "EUR 65.98 overpaid",
                "Expecting invoice unbilled": "−EUR 0.000009 owed",
                "Current balance": "EUR 65.979991",
                "Usable credits": "EUR 2,065.979991",
                BALANCE: "65.979991 = (−0.000009) + 65.98",
                USABLE: "2,065.979991 = 2,000.00 + 65.98 + (−0.000009) − 0.00",
            },
        ),
    ],
)
def test_postpaid_figures_are_explained(
    staff_console: Browser, provider: Provider, due: str, unbilled: str, figures: dict[str, str]
) -> None:
    customer = postpaid(provider)
    if due.startswith("-"):
        charge(customer, due.lstrip("-"))
        customer.money("invoices")
    else:
        customer.money("payments", amount=due, method="cheque")
    charge(customer, unbilled)

    page = money(customer, staff_console)

    assert figures.items() <= page.facts.items()
    assert page.facts["What counts as unbilled"].startswith("All charges since the last invoice.")


def test_unbilled_depends_on_the_invoicing_setting(
    staff_console: Browser, provider: Provider
) -> None:
    customer = postpaid(provider)
    provider.api("PATCH", "/v1/settings", {"invoicing": "individual"})

    assert money(customer, staff_console).facts["What counts as unbilled"].startswith("Usage only")


def test_a_top_up_counts_once_however_often_it_is_submitted(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider)
    staff_console.get(staff_console.at(f"/c/{customer.id}/payment/top-up"))
    form = staff_console.page.forms[-1]
    filled = {
        **form.fields,
        "amount": "50",
        "method": "bank_transfer",
        "reference": "TT-7",
        "remark": "hello",
        "confirmed": "yes",
    }

    statuses = [
        staff_console.send("POST", staff_console.page.path, filled).status for _ in range(2)
    ]

    assert statuses == [303, 303] and customer.account["balance"] == "50.00"
    assert "Topped up EUR 50.00." in staff_console.follow().banners


def test_errors_are_shown_at_the_field_and_values_kept(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider)

    page = staff_console.post(
        staff_console.at(f"/c/{customer.id}/payment/top-up"), {"amount": "1e3", "reference": "TT-7"}
    )

    assert page.status == 422 and page.title.startswith("Error:")
    assert "such as 1,250.50" in page.error("amount") and page.error("method")
    assert page.forms[-1].fields["reference"] == "TT-7" and page.forms[-1].fields["amount"] == "1e3"


def test_withdrawals_are_limited_to_the_balance(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "86.10", "100")
    path = staff_console.at(f"/c/{customer.id}/payment/withdraw")
    assert staff_console.get(path).forms[-1].fields["amount"] == "86.10"

    page = staff_console.submit({"amount": "90", "method": "cash", "reason": "leaves <soon>"})
    assert page.status == 409 and "You can withdraw up to EUR 86.10." in page.text
    assert (
        page.forms[-1].fields["reason"] == "leaves <soon>"
        and customer.account["balance"] == "86.10"
    )

    page = staff_console.submit({"amount": "86.10"})
    assert "Withdrew EUR 86.10." in page.banners and customer.account["balance"] == "0.00"


def test_a_charge_without_credits_shows_remedies(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "30")
    path = staff_console.at(f"/c/{customer.id}/payment/charge")
    filled = {"amount": "42", "kind": "one_off", "description": "Phone", "cost": "7"}

    page = staff_console.post(path, filled)
    assert page.status == 409 and filled.items() <= page.forms[-1].fields.items()
    assert "EUR 12.00 short: only EUR 30.00 is usable." in page.text
    assert "Or set a credit limit of EUR 12.00." in page.text

    assert staff_console.click("Top up").forms[-1].fields["amount"] == "12.00"
    staff_console.submit({"method": "cash"})
    page = staff_console.post(path, filled)
    assert "Charged EUR 42.00." in page.banners and customer.account["balance"] == "0.00"


def test_top_ups_from_the_wallet_are_limited_to_its_credits(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider)

    page = staff_console.post(
        staff_console.at(f"/c/{customer.id}/payment/top-up"), {"amount": "5", "method": "issue"}
    )

    assert (
        page.status == 409 and "Your own usable credits are EUR 0.00, EUR 5.00 short." in page.text
    )


def test_a_frozen_account_says_so(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "5")
    customer.suspend()

    page = money(customer, staff_console)
    assert (
        "This account is frozen" in page.text
        and "Charge" not in page.links
        and "Top up" in page.links
    )
    page = staff_console.post(
        staff_console.at(f"/c/{customer.id}/payment/charge"),
        {"amount": "1", "kind": "usage", "description": "x"},
    )
    assert page.status == 409 and "Activate the organization" in page.text


def test_a_limit_is_permanent_or_temporary(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider)
    path = staff_console.at(f"/c/{customer.id}/payment/limit")
    last = (datetime.now(UTC) + timedelta(days=40)).date()

    page = staff_console.post(path, {"credit_limit": "75", "term": "temporary"})
    assert (
        page.status == 422
        and page.error("until") == "Enter the last day of the limit."
        and customer.account["credit_limit"] == "0.00"
    )
    page = staff_console.submit({"until": last.isoformat()})

    assert "The credit limit is now EUR 75.00." in page.banners and "temporary" in page.text
    ends = datetime.fromisoformat(customer.account["credit_limit_expires_at"])
    assert last <= ends.date() < ends.date() + timedelta(days=1) and ends.hour in (22, 23)
    assert staff_console.get(path).forms[-1].fields["until"] == last.isoformat()

    staff_console.submit({"term": "permanent", "credit_limit": "10"})
    assert (
        customer.account["credit_limit_expires_at"] is None
        and customer.account["credit_limit"] == "10.00"
    )
    assert (
        staff_console.post(path, {"credit_limit": ""}).error("credit_limit")
        == "Enter a credit limit."
    )


def test_a_changed_limit_is_not_overwritten(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider)
    staff_console.get(staff_console.at(f"/c/{customer.id}/payment/limit"))
    customer.staff("PATCH", "/account", {"credit_limit": "500"})

    page = staff_console.submit({"credit_limit": "20"})
    assert page.status == 412 and ["Credit limit (EUR)", "EUR 500.00", "EUR 20.00"] in page.rows
    assert customer.account["credit_limit"] == "500.00"

    staff_console.submit()
    assert customer.account["credit_limit"] == "20.00"


def test_changing_the_payment_mode_explains_the_balance(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "30")
    path = staff_console.at(f"/c/{customer.id}/payment/mode")

    page = staff_console.get(path)
    assert "The balance of EUR 30.00 becomes an overpayment" in page.text
    assert staff_console.submit().error("credit_limit") == "Enter a credit limit."
    page = staff_console.submit({"credit_limit": "100"})
    assert (
        "The account is now postpaid." in page.banners
        and page.facts["Amount due billed"] == "EUR 30.00 overpaid"
    )

    charge(customer, "40")
    page = staff_console.get(path)
    assert "EUR 40.00 is unbilled." in page.text and "Change to prepaid" not in page.buttons
    customer.money("adjustments", amount="40", kind="goodwill", reason="a test")
    assert "The overpaid EUR 30.00 becomes the balance." in staff_console.get(path).text
    page = staff_console.submit()
    assert "The account is now prepaid." in page.banners and page.facts["Balance"] == "EUR 30.00"


def test_open_amounts_are_refused_with_a_remedy(staff_console: Browser, provider: Provider) -> None:
    customer = postpaid(provider)
    staff_console.get(staff_console.at(f"/c/{customer.id}/payment/mode"))
    charge(customer, "3")

    page = staff_console.submit()

    assert (
        page.status == 409 and "Unbilled: EUR 3.00." in page.text and "Issue invoice" in page.links
    )


def test_the_default_threshold_is_20_percent_of_the_last_top_up(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "100")
    path = staff_console.at(f"/c/{customer.id}/payment/auto-top-up")
    page = staff_console.get(path)
    assert "20% of the last top-up, currently EUR 20.00" in page.text

    assert staff_console.submit({"enabled": "on", "method": "cheque"}).error("amount")
    page = staff_console.submit({"amount": "60"})
    assert "Automatic top-up is on." in page.banners
    assert "EUR 60.00 by check when usable credits fall to EUR 20.00" in page.text

    assert staff_console.get(path).forms[-1].fields["threshold"] == ""
    staff_console.submit({"threshold": "33", "enabled": None})
    assert customer.account["auto_top_up"] == {
        "enabled": False,
        "threshold": "33.00",
        "amount": "60.00",
        "method": "cheque",
    }


def test_the_stored_card_is_shown_and_removed(
    staff_console: Browser, provider: Provider, whole: Whole
) -> None:
    customer = prepaid(provider)
    with whole.databases["billing"].transaction() as session:
        session.get_one(Account, customer.id).payment_method = {"brand": "visa", "last4": "4242"}

    assert "Card Visa ending in 4242" in money(customer, staff_console).text
    page = staff_console.click("Remove the stored card")
    assert page.status == 200 and customer.account["payment_method"]
    page = staff_console.submit()

    assert (
        "The stored card was removed." in page.banners
        and customer.account["payment_method"] is None
    )


@pytest.mark.parametrize("path", ["payment", "transactions"])
def test_a_page_needs_few_statements(staff_console: Browser, provider: Provider, path: str) -> None:
    customer = postpaid(provider)
    for _ in range(3):
        charge(customer, "1")
        customer.money("reservations", amount="1", description="Call")

    assert len(staff_console.statements(staff_console.at(f"/c/{customer.id}/{path}"))) <= 12
