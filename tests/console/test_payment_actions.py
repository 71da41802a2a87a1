"""One primary action on the Payment page, by the state of the account; the rest under More."""

import pytest

from tests.console.browser import Browser, Page
from tests.console.ledger import charge, money, postpaid, prepaid
from tests.console.provider import Customer, Provider


def offered(page: Page) -> tuple[list[str], list[str], list[str]]:
    """The primary action, the others, and those that cannot be done now with the reason."""
    (actions,) = page.top.find("div", class_="actions")
    primary = [link.text for link in actions.find("a", class_="primary")]
    (more,) = actions.find("details")
    return (
        primary,
        [link.text for link in more.find("a")],
        [one.text for one in more.find("span", class_="off")],
    )


@pytest.mark.parametrize(
    ("due", "unbilled", "primary", "obstacle"),
    [
        ("", "", "Record payment", "Issue invoice Nothing is unbilled."),
        ("10", "", "Record payment", "Issue invoice Nothing is unbilled."),
        ("", "20", "Issue invoice", ""),
        ("10", "20", "Record payment", ""),
    ],
)
def test_the_state_of_a_postpaid_account_decides(
    staff_console: Browser,
    provider: Provider,
    due: str,
    unbilled: str,
    primary: str,
    obstacle: str,
) -> None:
    customer = postpaid(provider)
    if due:
        charge(customer, due)
        customer.money("invoices")
    if unbilled:
        charge(customer, unbilled)

    first, others, impossible = offered(money(customer, staff_console))

    assert first == [primary] and primary not in others
    nothing = "Withdraw There is nothing to withdraw."
    assert impossible == ([obstacle, nothing] if obstacle else [nothing])
    assert {"Top up", "Charge", "Adjust", "Credit limit"} <= set(others)


def test_a_prepaid_account_is_topped_up(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "5")

    assert offered(money(customer, staff_console)) == (
        ["Top up"],
        ["Withdraw", "Charge", "Adjust", "Credit limit"],
        [],
    )


def test_a_frozen_account_says_why_nothing_can_be_charged(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider, "5")
    customer.suspend()

    _, others, impossible = offered(money(customer, staff_console))

    assert "Charge" not in others and impossible == ["Charge The account is frozen."]


def test_an_invoice_is_only_offered_if_something_is_unbilled(
    staff_console: Browser, provider: Provider
) -> None:
    customer = postpaid(provider)

    page = money(customer, staff_console, "invoices")
    assert "Issue invoice" not in page.links and "Nothing is unbilled." in page.text
    page = money(customer, staff_console, "invoices/issue")
    assert "There is nothing to invoice." in page.text and "Issue invoice" not in page.buttons
    charge(customer, "1")
    assert "Issue invoice" in money(customer, staff_console, "invoices").links


def test_the_payment_page_of_a_customer_who_owes_leads_with_the_debt(
    staff_console: Browser, provider: Provider
) -> None:
    def leading(customer: Customer) -> str:
        return money(customer, staff_console).top.find(class_="figure")[0].text

    customer = postpaid(provider, "8000")
    assert leading(customer) == "EUR 8,000.00"
    charge(customer, "990")
    customer.money("invoices")
    assert leading(customer) == "−EUR 990.00 owed"
