"""API keys."""

from collections.abc import Callable

from tests.console.browser import Browser
from tests.console.provider import Customer, Provider


def test_api_keys(console: Browser, acme: Customer) -> None:
    page = console.get(console.at("/me/keys"))
    assert "No API keys yet" in page.text
    page = console.post(console.at("/me/keys/new"), {"name": "Rating", "scope_usage_write": "on"})
    key = page.facts["API key"]
    assert key.startswith("clk_")
    page = console.click("I've saved the key")
    assert (
        key not in page.html
        and page.rows[0][0].startswith("Rating")
        and page.rows[0][1] == "Report usage"
    )
    page = console.get(page.links["Rotate Rating"])
    page = console.submit({"overlap_minutes": "0"})
    assert page.facts["API key"] not in (key, "")
    console.get(console.at("/me/keys"))
    page = console.get(console.page.links["Delete Rating"])
    page = console.submit()
    assert "No API keys yet" in page.text


def test_an_owner_adopts_the_key_of_somebody_who_has_left(
    console: Browser, provider: Provider, acme: Customer, browser: Callable[[], Browser]
) -> None:
    theirs, max_ = browser(), provider.staff("manager")
    max_.sign_in(theirs)
    theirs.post(theirs.at("/me/keys/new"), {"name": "Sync", "scope_cust_read": "on"})
    key = theirs.page.facts["API key"]
    provider.api("POST", f"/v1/organizations/{provider.id}/members/{max_.id}/disable")

    page = console.get(console.at("/me/keys"))
    assert page.rows[0][5] == "Suspended its creator is disabled"
    console.get(page.links["Adopt Sync"])
    page = console.submit({"overlap_minutes": "0"})
    assert page.facts["API key"] not in (key, "")
    page = console.get(console.at("/me/keys"))
    assert page.rows[0][5] == "Active" and "Adopt Sync" not in page.links
