"""The overview of a customer."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.console.browser import Browser
from tests.console.customers.pages import Away, card, failed, unavailable
from tests.console.provider import Provider
from tests.console.system import Whole


def test_the_overview_of_a_prepaid_account(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", credits="100", buyer_tags={"CustomerRef": "C-1"})
    acme.money("charges", amount="30", kind="usage", description="<i>calls</i>")
    acme.loginless()
    acme.member("admin")

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert "EUR\N{NO-BREAK SPACE}70.00" in card(page, "Credits").text.replace(
        " ", "\N{NO-BREAK SPACE}"
    )
    assert page.facts["Balance"] == "EUR 70.00" and page.facts["CustomerRef"] == "C-1"
    assert (page.facts["Admins"], page.facts["No portal access"]) == ("1", "1")
    # 30 in 14 days: 70 last 32 days.
    assert page.facts["Days to empty"] == "32 days"
    chart = page.top.find("svg", role="img")[0].attrs["aria-label"]
    day = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(days=32)
    assert "70.00" in chart and f"{day:%b %Y}" in chart
    assert "<i>calls</i>" in card(page, "Recent transactions").text
    assert "Member added · Olga Owner" in card(page, "Recent activity").text
    assert not page.top.find("i") and "style" not in {
        name for one in page.top.all for name in one.attrs
    }


def test_the_overview_of_a_postpaid_account(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", payment_mode="postpaid", credit_limit="100")
    acme.money("charges", amount="30", kind="usage", description="calls")

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert (
        page.facts["Expecting invoice"] == "\N{MINUS SIGN}EUR 30.00 owed"
        and page.facts["Credit limit"] == "EUR 100.00"
    )
    assert "Days to empty" not in page.facts and "Balance" not in page.facts


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/account/transactions", ["Balance over 30 days", "Recent transactions"]),
        ("/members", ["Members"]),
        ("/timeline", ["Recent activity"]),
        ("/account", ["Balance over 30 days", "Credits", "Recent transactions"]),
    ],
)
def test_each_card_of_the_overview_fails_alone(
    staff: Browser, provider: Provider, whole: Whole, path: str, titles: list[str]
) -> None:
    acme = provider.customer("Acme", credits="5")
    with unavailable(whole, path):
        page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert page.status == 200 and failed(page) == titles
    assert "The service is temporarily unavailable" in page.text


def test_an_unavailable_service_affects_only_its_own_cards(
    staff: Browser, provider: Provider, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = provider.customer("Acme", credits="5")
    monkeypatch.setattr(whole._wires["billing"], "forward", Away(None, "").send)

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert page.status == 200 and failed(page) == [
        "Balance over 30 days",
        "Credits",
        "Recent transactions",
    ]
    assert page.facts["Owner"].startswith("Olga Owner")


def test_quick_actions_depend_on_the_role(browser: Any, provider: Provider) -> None:
    acme = provider.customer("Acme")
    seen = {}
    for who in (provider.owner, provider.staff("viewer"), acme.owner, acme.member("member")):
        console = browser()
        who.sign_in(console)
        page = console.get(console.at(f"/c/{acme.id}/overview"))
        assert page.status == 200
        seen[who.email] = [
            words for words in ("Top up", "Add member", "Edit", "Suspend") if words in page.links
        ]

    assert list(seen.values()) == [
        ["Top up", "Add member", "Edit", "Suspend"],
        [],
        ["Add member", "Edit"],
        [],
    ]


def test_a_scheduled_deletion_shows_its_date(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.delete()

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert any("permanently deleted on" in words for words in page.banners)
    assert "Top up" not in page.links and "Permanent deletion" in page.facts
