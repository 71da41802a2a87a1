"""The list of customers as a CSV file."""

from decimal import Decimal

import pytest

from tests.console.browser import Browser
from tests.console.customers.pages import HOSTILE, lines, table, unavailable
from tests.console.provider import Provider
from tests.console.system import Whole


def test_the_file_has_names_as_text_and_amounts_as_numbers(
    staff: Browser, provider: Provider
) -> None:
    for name in HOSTILE:
        provider.customer(name, accept=False)
    overdrawn = provider.customer(
        "Overdrawn",
        credits="10",
        owner={"given_name": "=cmd", "family_name": "Owner", "email": f"x@{provider.word}.example"},
        accept=False,
    )
    overdrawn.money("adjustments", amount="-12.5", kind="correction", reason="wrong rate")

    page = staff.get(staff.at("/customers.csv"))

    assert page.headers["Content-Type"] == "text/csv; charset=utf-8" and page.headers[
        "Content-Disposition"
    ].startswith('attachment; filename="customers-')
    rows = table(page)
    expected = {f"'{name}" if name[0] in "=+-@" else name for name in HOSTILE} | {"Overdrawn"}
    assert rows.keys() == expected
    assert (
        Decimal(rows["Overdrawn"]["balance"]) == Decimal("-2.5")
        and rows["Overdrawn"]["currency"] == "EUR"
    )
    assert rows["Overdrawn"]["owner"] == "'=cmd Owner"
    run = [cell for row in lines(page)[1:] for cell in row if cell[:1] in tuple("=+-@\t\r\n")]
    assert all(Decimal(cell) < 0 for cell in run)


def test_the_file_has_the_filtered_customers(staff: Browser, provider: Provider) -> None:
    provider.customer("In")
    provider.customer("Out").suspend()

    staff.get(staff.at("/customers?status=active"))
    page = staff.click("Export these as CSV")

    assert set(table(page)) == {"In"}


def test_an_incomplete_file_says_so_in_its_last_line(
    staff: Browser, provider: Provider, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    for number in range(5):
        provider.customer(f"Customer {number}", accept=False)
    monkeypatch.setattr("console.views.customers._BATCH", 2)

    assert len(lines(staff.get(staff.at("/customers.csv")))) == 6
    monkeypatch.setattr("console.views.customers._MAX_LINES", 4)
    cut = lines(staff.get(staff.at("/customers.csv")))
    assert len(cut) == 6 and len(cut[-1]) == 1 and "only the first 4 customers" in cut[-1][0]
    with unavailable(whole, "cursor="):
        broken = lines(staff.get(staff.at("/customers.csv")))
    assert len(broken) == 4 and "stopped after 2 customers" in broken[-1][0]
