"""The transactions of an account, and who may see and do what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing import actions
from billing.actions.usage.records import UsageRecord
from billing.values import UNIT
from chassis.auth.actor import SYSTEM
from chassis.runtime import clock, ids

from tests.console.browser import Browser
from tests.console.ledger import charge, money, postpaid, prepaid
from tests.console.provider import Provider
from tests.console.system import Whole


def test_corrections_refunds_and_reversals(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "20")
    staff_console.post(
        staff_console.at(f"/c/{customer.id}/payment/adjust"),
        {"amount": "-0.000001", "kind": "write_off", "reason": "dust"},
    )
    assert customer.account["balance"] == "19.999999"
    charged = charge(customer, "5", cost="2")

    page = money(customer, staff_console, f"transactions/{charged['id']}")
    assert (
        page.facts["Amount"] == "−EUR 5.00"
        and page.facts["Your cost visible to staff only"] == "EUR 2.00"
    )
    assert ["Revenue", "", "EUR 5.00"] in page.rows
    staff_console.click("Refund")
    page = staff_console.submit({"amount": "6", "reason": "bad line"})
    assert page.status == 409 and "Remaining: EUR 5.00." in page.text
    page = staff_console.submit({"amount": ""})
    assert "Refunded EUR 5.00." in page.banners and customer.account["balance"] == "19.999999"

    top_up = money(customer, staff_console, "transactions?kind=top_up")
    page = staff_console.click("Top-up by cash")
    assert "Refund" not in page.links and top_up.status == 200
    staff_console.click("Reverse")
    assert (
        "Reversed with a transaction of −EUR 20.00."
        in staff_console.submit({"reason": "bounced"}).banners
    )
    assert customer.account["balance"] == "-0.000001"
    page = staff_console.click("Reverse")
    assert staff_console.submit({"reason": "again"}).status == 409


def test_transactions_are_filtered_by_the_address(
    staff_console: Browser, provider: Provider
) -> None:
    customer = prepaid(provider)
    assert "No transactions yet" in money(customer, staff_console, "transactions").headings
    customer.money("top-ups", amount="9", method="cash")
    charge(customer, "4", description="<b>Calls</b>")

    page = money(customer, staff_console, "transactions")
    assert [[row[0], *row[3:]] for row in page.rows] == [
        ["<b>Calls</b>", "−EUR 4.00", "EUR 5.00"],
        ["Top-up by cash", "+EUR 9.00", "EUR 9.00"],
    ]
    today = datetime.now(UTC).date()
    before, later = today - timedelta(days=1), today + timedelta(days=3)
    assert (
        len(
            money(
                customer, staff_console, f"transactions?direction=in&from={before}&to={later}"
            ).rows
        )
        == 1
    )
    assert (
        "No transactions match"
        in money(customer, staff_console, f"transactions?from={later}").headings
    )
    assert "Clear filters" in staff_console.page.links
    page = money(customer, staff_console, "transactions?kind=nonsense")
    assert page.status == 422 and "Clear filters" in page.links


def test_the_csv_file_is_safe_for_spreadsheets(staff_console: Browser, provider: Provider) -> None:
    customer = prepaid(provider, "9")
    charge(customer, "4", description="=1+1")
    charge(customer, "1", kind="one_off", description="@fine")

    page = money(customer, staff_console, "transactions.csv?kind=usage")

    lines = page.html.lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").splitlines()
    assert len(lines) == 2 and ",'=1+1," in lines[1] and ",-4.00,EUR," in lines[1]
    assert page.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert page.headers["Content-Disposition"].startswith("attachment; filename=")


def test_customers_see_their_account_read_only(browser: Any, provider: Provider) -> None:
    mine, other = provider.customer(credits="9"), prepaid(provider, "7")
    charged = charge(mine, "1", cost="0.40")
    for person in (mine.owner, mine.member("admin")):
        console = browser()
        person.sign_in(console)
        page = money(mine, console)
        assert page.status == 200 and page.facts["Balance"] == "EUR 8.00"
        assert not {"Top up", "Withdraw", "Charge", "Adjust", "Credit limit"} & set(page.links)
        page = money(mine, console, f"transactions/{charged['id']}")
        assert page.status == 200 and "0.40" not in page.text and "Your cost" not in page.text
        assert [
            money(mine, console, f"payment/{what}").status for what in ("top-up", "limit", "mode")
        ] == [403] * 3
        assert money(other, console).status == 404


def test_staff_see_what_their_preset_allows(browser: Any, provider: Provider) -> None:
    customer = prepaid(provider, "9")
    viewer, billing = browser(), browser()
    provider.staff("viewer").sign_in(viewer)
    provider.staff("billing").sign_in(billing)

    assert not {"Top up", "Withdraw", "Charge"} & set(money(customer, viewer).links)
    assert money(customer, viewer, "payment/top-up").status == 403
    links = set(money(customer, billing).links)
    assert "Top up" in links and "Withdraw" not in links
    assert money(customer, billing, "payment/withdraw").status == 403


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(26, 11, 29, 9, tzinfo=UTC), "29 Nov 0026"),
        (datetime(1, 1, 2, tzinfo=UTC), "2 Jan 0001"),
        (datetime(9998, 12, 31, tzinfo=UTC), "31 Dec 9998"),
    ],
)
def test_pages_show_whatever_time_was_stored(
    staff_console: Browser, provider: Provider, whole: Whole, at: datetime, shown: str
) -> None:
    customer = postpaid(provider)
    old = UsageRecord(provider.id, ids.new("evt"), customer.id, UNIT, at, "Calls")
    with whole.databases["billing"].transaction() as session:
        actions.record_usage(session, records=[old], now=clock.now(), by=SYSTEM)
    invoice = customer.money("invoices")["id"]

    for path in ("payment", "invoices", "payments", f"invoices/{invoice}.pdf"):
        assert money(customer, staff_console, path).status == 200, path
    for path in ("transactions", f"invoices/{invoice}"):
        assert shown in money(customer, staff_console, path).text, path
    assert f"{at.year:04}-" in money(customer, staff_console, "transactions.csv").html
    for row in customer.staff("GET", "/account/transactions")["data"]:
        page = money(customer, staff_console, f"transactions/{row['id']}")
        assert page.status == 200
    assert page.facts["Date"].startswith(shown)
    assert str(clock.now().year) in page.facts["Posted on"]
