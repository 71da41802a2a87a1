"""Amounts as people of a locale read and type them."""

from collections.abc import Iterator

import pytest
from console.values import amounts

from tests.console.browser import Browser
from tests.console.ledger import money as at
from tests.console.ledger import postpaid, prepaid
from tests.console.provider import Provider


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    amounts.use_locale("en")


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "text"),
    [
        ("en", "1250.5", "SGD", "SGD 1,250.50"),
        ("en", "0", "EUR", "EUR 0.00"),
        ("en", "-0.000001", "EUR", "−EUR 0.000001"),
        ("en", "2000", "JPY", "JPY 2,000"),
        ("en", "2000", "KWD", "KWD 2,000.000"),
        ("en", "2000.10", "", "2,000.10"),
        ("de", "-1250.5", "SGD", "−1.250,50 SGD"),
        ("fr", "1250.5", "EUR", "1 250,50 EUR"),
        ("de-CH", "1250.5", "CHF", "CHF 1’250.50"),
    ],
)
def test_money_is_written_by_locale(locale: str, amount: str, currency: str, text: str) -> None:
    amounts.use_locale(locale)

    shown = amounts.money(amount, currency)

    assert shown.replace("\N{NO-BREAK SPACE}", " ").replace("\u202f", " ") == text


def test_no_amount_is_a_dash() -> None:
    assert amounts.money(None, "EUR") == "–"


@pytest.mark.parametrize(
    ("locale", "typed", "currency", "amount"),
    [
        ("en", "1250.5", "EUR", "1250.5"),
        ("en", "1,250.50", "EUR", "1250.50"),
        ("en", "1.250,50", "EUR", "1250.50"),
        ("de", "1.250,50", "EUR", "1250.50"),
        ("de", "1,250.50", "EUR", "1250.50"),
        ("en", "1,250", "EUR", "1250"),
        ("de", "1.250", "EUR", "1250"),
        ("en", "12,50", "EUR", "12.50"),
        ("en", "0.125", "EUR", "0.125"),
        ("en", "1.250", "KWD", "1.250"),
        ("en", "1,250,000", "EUR", "1250000"),
        ("de", "1.250.000,5", "EUR", "1250000.5"),
        ("fr", "1\u202f250,50", "EUR", "1250.50"),
        ("de-CH", "1'250.50", "CHF", "1250.50"),
        ("en", "−5.00", "EUR", "-5.00"),
        ("en", "7.125", "", "7.125"),
    ],
)
def test_an_amount_is_read_as_it_was_typed(
    locale: str, typed: str, currency: str, amount: str
) -> None:
    amounts.use_locale(locale)

    assert amounts.read(typed, currency) == amount
    assert amounts.read(amounts.in_field(amount), currency) == amount


@pytest.mark.parametrize(
    ("locale", "typed", "words"),
    [
        ("en", "1.250", "Enter 1,250.00 or 1.25: “1.250” can mean either."),
        ("en", "1.255", "Enter 1,255.00 or 1.2550: “1.255” can mean either."),
        ("de", "1,250", "Enter 1.250,00 or 1,25: “1,250” can mean either."),
        ("en", "1e3", "Enter an amount such as 1,250.50."),
        ("en", "1,2,3", "Enter an amount such as 1,250.50."),
        ("en", "1.250.5", "Enter an amount such as 1,250.50."),
        ("en", "1 2", "Enter an amount such as 1,250.50."),
        ("en", "١٢", "Enter an amount such as 1,250.50."),
        ("de", "x", "Enter an amount such as 1.250,50."),
    ],
)
def test_what_is_no_amount_or_may_be_one_of_two_is_refused(
    locale: str, typed: str, words: str
) -> None:
    amounts.use_locale(locale)

    with pytest.raises(amounts.Unreadable) as refused:
        amounts.read(typed, "EUR")

    assert str(refused.value) == words


def test_a_page_writes_and_reads_amounts_as_the_browser_asks(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "1000")
    german = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}
    path = staff_console.at(f"/c/{customer.id}/payment/withdraw")

    page = staff_console.send("GET", path, headers=german)
    assert page.facts["Available to withdraw"] == "1.000,00 EUR"
    assert page.forms[-1].fields["amount"] == "1000,00"
    filled = page.forms[-1].fields | {"amount": "999,50", "method": "cash", "reason": "leaves"}
    filled["confirmed"] = "yes"
    assert staff_console.send("POST", path, filled, headers=german).status == 303
    assert customer.account["balance"] == "0.50"
    assert at(customer, staff_console).facts["Balance"] == "EUR 0.50"


def test_an_ambiguous_amount_is_refused_at_the_field(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "10")
    path = staff_console.at(f"/c/{customer.id}/payment/top-up")

    page = staff_console.post(path, {"amount": "1.250", "method": "cash"})
    assert page.status == 422 and "1,250.00 or 1.25" in page.error("amount")
    staff_console.submit({"amount": "1,250.00"})

    assert customer.account["balance"] == "1260.00"


def test_a_posting_shows_the_balance_afterwards_before_it_is_made(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "30", limit="100")
    staff_console.get(staff_console.at(f"/c/{customer.id}/payment/charge"))
    filled = {"amount": "42.5", "kind": "one_off", "description": "Phone <1>"}

    page = staff_console.submit(filled, confirm=False)

    assert page.facts["Amount (EUR)"] == "EUR 42.50" and page.facts["Type"] == "One-off"
    assert page.facts["Description"] == "Phone <1>"
    assert page.rows == [
        ["Balance", "EUR 30.00", "−EUR 12.50 owed"],
        ["Usable credits", "EUR 130.00", "EUR 87.50"],
    ]
    assert customer.account["balance"] == "30.00"
    form = page.forms[-2]
    page = staff_console.send("POST", form.action, form.fields)
    assert filled.items() <= page.forms[-1].fields.items()
    assert page.status == 200 and customer.account["balance"] == "30.00"
    staff_console.submit()
    assert customer.account["balance"] == "-12.50"


def test_what_is_missing_is_said_before_anything_is_to_be_confirmed(
    staff_console: Browser, provider: Provider
) -> None:
    customer = postpaid(provider)

    page = staff_console.post(
        staff_console.at(f"/c/{customer.id}/payments/record"), {"amount": "1.5"}, follow=False
    )

    assert page.status == 422 and page.error("method") == "Select a method."
