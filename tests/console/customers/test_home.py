"""Home, and how many statements it and the other pages take."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from billing.models import Invoice

from tests.console.browser import Browser
from tests.console.customers.pages import card, failed, names, unavailable
from tests.console.provider import Customer, Provider
from tests.console.system import Whole


def test_home_shows_what_needs_attention(staff: Browser, provider: Provider) -> None:
    provider.customer("Unverified", accept=False)
    overdrawn = provider.customer("Overdrawn", credits="10")
    overdrawn.money("adjustments", amount="-12", kind="correction", reason="wrong rate")
    burning = provider.customer("Burning", credits="10")
    burning.money("charges", amount="9", kind="usage", description="calls")
    provider.customer("Leaving").delete()

    page = staff.get(staff.at("/home"))

    groups = {
        one.find("h3")[0].text: [li.find("a")[0].text for li in one.find("li")]
        for one in card(page, "Needs attention").find("section")
        if one.find("h3")
    }
    assert groups["Owner not verified"] == ["Unverified"] and groups["Credits below zero"] == [
        "Overdrawn"
    ]
    assert "Burning" in groups["Credits run out within 7 days"]
    assert card(page, "Scheduled deletions").text.endswith("Leaving 30 days · Activate: Leaving")
    assert "You're all caught up" not in page.text
    assert "Overdrawn" in card(page, "Recent customers").text
    assert names(staff.click("Owner not verified")) == ["Unverified"]


def test_home_shows_overdue_invoices_and_limits_that_are_near_with_their_actions(
    staff: Browser, provider: Provider, whole: Whole
) -> None:
    late = provider.customer("Late", payment_mode="postpaid", credit_limit="100")
    late.money("charges", amount="30", kind="usage", description="calls")
    invoice = late.money("invoices")["id"]
    near = provider.customer("Near", payment_mode="postpaid", credit_limit="100")
    near.money("charges", amount="90", kind="usage", description="calls")
    provider.customer("Unverified", accept=False)
    with whole.databases["billing"].transaction() as session:
        stored = session.get_one(Invoice, (late.id, invoice))
        stored.due_on, stored.due_until = date(2026, 10, 5), datetime(2026, 10, 6, tzinfo=UTC)
    whole.settle("flag_overdue_invoices")

    page = staff.get(staff.at("/home"))

    rows = {
        one.find("h3")[0].text: [li.text for li in one.find("li")]
        for one in card(page, "Needs attention").find("section")
        if one.find("h3")
    }
    assert rows["Overdue invoices"] == ["Late EUR 30.00 due 5 Oct 2026 · Record payment: Late"]
    assert rows["Credit limit nearly used"] == ["Near EUR 10.00 · Change limit: Near"]
    assert staff.click("Record payment: Late").headings[1] == "Record payment"
    staff.get(staff.at("/home"))
    headings = staff.click("Resend email: Unverified").headings
    assert any("Resend email to Olga Owner" in heading for heading in headings)

    late.money("payments", amount="30", method="cash")
    assert "Overdue invoices" not in staff.get(staff.at("/home")).text


def test_home_says_when_nothing_needs_attention(staff: Browser, provider: Provider) -> None:
    provider.customer("Fine")

    page = staff.get(staff.at("/home"))

    assert "You're all caught up." in page.text and "Checked at" in page.text


def test_home_lists_active_support_sessions(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.staff("POST", f"/members/{acme.owner.id}/login-as", {"reason": "they called <us>"})

    words = card(staff.get(staff.at("/home")), "Active support sessions").text

    assert "as Olga Owner at Acme" in words and "they called <us>" in words


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/v1/wallet", "Provider wallet"),
        ("/v1/remote-support", "Active support sessions"),
        ("attention=deletion_scheduled", "Scheduled deletions"),
        ("sort=-created_at", "Recent customers"),
        ("attention=owner_unverified", "Needs attention"),
    ],
)
def test_each_card_of_home_fails_alone(
    staff: Browser, provider: Provider, whole: Whole, path: str, title: str
) -> None:
    provider.customer("Fine")
    with unavailable(whole, path):
        page = staff.get(staff.at("/home"))

    quiet = title not in ("Needs attention", "Scheduled deletions")
    assert page.status == 200 and ("You're all caught up" in page.text) == quiet
    assert failed(page) == [title]


def test_each_page_needs_few_statements(staff: Browser, provider: Provider, browser: Any) -> None:
    acme, theirs = _busy(provider), browser()
    acme.owner.sign_in(theirs)
    overview = f"/c/{acme.id}/overview"

    counted = {
        path: len(staff.statements(staff.at(path)))
        for path in (
            "/home",
            "/customers",
            "/customers?q=a&status=active&sort=-usable_credits",
            overview,
        )
    }
    counted["their own"] = len(theirs.statements(theirs.at(overview)))

    assert all(count <= 12 for count in counted.values()), counted


def _busy(provider: Provider) -> Customer:
    """Customers with something for every part of Home."""
    provider.customer("Unverified", accept=False)
    provider.customer("Leaving").delete()
    acme = provider.customer("Acme", credits="10")
    acme.money("charges", amount="9", kind="usage", description="calls")
    acme.staff("POST", f"/members/{acme.owner.id}/login-as", {"reason": "a test"})
    return acme
