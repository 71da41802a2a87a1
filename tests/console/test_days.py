"""How days are counted and named: one rule for all pages."""

from datetime import UTC, datetime, timedelta

import pytest
from console.values import browsers, days, figures

from tests.console.browser import Browser
from tests.console.customers.pages import card
from tests.console.ledger import charge, postpaid, prepaid
from tests.console.ledger import money as at
from tests.console.provider import Provider

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (timedelta(days=30), "30 days"),
        (timedelta(days=29, seconds=1), "30 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=23), "less than a day"),
        (timedelta(0), "due now"),
        (timedelta(days=-1), "due now"),
    ],
)
def test_the_last_day_that_is_left_counts_as_a_whole_one(later: timedelta, words: str) -> None:
    assert days.left((NOW + later).isoformat(), NOW) == words


@pytest.mark.parametrize(
    ("left", "usable", "words"),
    [
        (None, "5.00", "–"),
        (0, "3.50", "Less than a day"),
        (0, "0.00", "Used up"),
        (3, "-0.01", "Used up"),
        (1, "1.00", "1 day"),
        (2101, "1.00", "2,101 days"),
    ],
)
def test_days_to_empty_are_words(left: int | None, usable: str, words: str) -> None:
    assert figures.to_empty({"days_to_empty": left, "usable_credits": usable}) == words


def test_every_page_has_the_same_words_for_credits_that_last_less_than_a_day(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "100")
    charge(customer, "96.50")

    home = staff_console.get(staff_console.at("/home"))
    listed = staff_console.get(staff_console.at("/customers"))
    overview, payment = (at(customer, staff_console, path) for path in ("overview", "payment"))

    assert "Less than a day" in card(home, "Needs attention").text
    assert listed.rows[0][3] == "Less than a day"
    assert overview.facts["Days to empty"] == payment.facts["Days to empty"] == "Less than a day"
    assert "used up" not in overview.text and "no credits left" not in overview.text


def test_home_and_the_page_of_a_deletion_count_the_same_days(
    staff_console: Browser, provider: Provider
) -> None:
    customer = provider.customer("Leaving")
    customer.delete()

    home = staff_console.get(staff_console.at("/home"))

    assert "Leaving 30 days" in card(home, "Scheduled deletions").text
    assert "30 days left" in at(customer, staff_console, "deletion").text


def test_a_page_about_a_customer_names_its_time_zone(
    staff_console: Browser, provider: Provider
) -> None:
    customer = provider.customer(timezone="Asia/Singapore")

    assert "Times in Asia/Singapore" in at(customer, staff_console, "overview").text


def test_the_overview_of_a_customer_who_owes_leads_with_the_debt(
    staff_console: Browser, provider: Provider
) -> None:
    customer = postpaid(provider, "8000")
    charge(customer, "990")
    customer.money("invoices")

    page = at(customer, staff_console, "overview")

    credits_card = card(page, "Credits")
    assert credits_card.find(class_="figure")[0].text == "−EUR 990.00 owed"
    assert page.facts["Usable credits"] == "EUR 8,000.00"
    primary = [link.text for link in page.top.find("a", class_="primary")]
    assert primary == ["Record payment"]


@pytest.mark.parametrize("path", ["invoices", "transactions", "audit"])
def test_days_in_the_wrong_order_are_named(
    staff_console: Browser, provider: Provider, path: str
) -> None:
    customer = postpaid(provider)

    page = at(customer, staff_console, f"{path}?from=2026-02-01&to=2026-01-31")

    assert page.status == 422 and "Enter a day that is not before “From”." in page.text
    assert "match" not in page.text
    page = at(customer, staff_console, f"{path}?from=2026-02-01&to=2026-02-01")
    assert page.status == 200


def test_a_temporary_limit_is_shown_with_its_last_day(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider)
    ends = {"credit_limit": "75", "credit_limit_expires_at": "2029-12-31T23:00:00Z"}
    customer.staff("PATCH", "/account", ends)

    page = at(customer, staff_console)

    assert page.facts["Credit limit temporary"] == "EUR 75.00 until 31 Dec 2029, inclusive"


def test_browsers_are_named_with_their_version() -> None:
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"
    safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/17.4 Safari/605.1.15"

    assert browsers.name(chrome) == "Chrome 126 on Linux"
    assert browsers.name(safari) == "Safari 17 on macOS"
    assert browsers.name("curl/8.1") == "curl/8.1"
