"""Working without a mouse; the focus is always visible."""

import re

from playwright.sync_api import expect

from tests.browser.people import Typist
from tests.browser.sites import ADMIN, Site


def test_working_with_the_keyboard_only(typist: Typist, embedded: Site) -> None:
    customer = embedded.open()
    page = typist.page
    typist.sign_in(ADMIN, embedded.password)
    typist.sees_heading("Home")

    typist.keys("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    typist.keys("Enter")
    expect(page.locator("main")).to_be_focused()

    typist.keys("/")
    expect(page.get_by_role("searchbox", name="Search customers")).to_be_focused()
    page.keyboard.type("nobody has this name")
    typist.keys("Enter")
    typist.sees_heading("No customers match")
    typist.keys("/")
    page.keyboard.type(customer.name)
    expect(page.locator("#live")).to_have_text("1 customer shown.")
    expect(page.locator("tr[data-row]")).to_have_count(1)
    typist.reach(page.locator("tr[data-row]").get_by_role("link", name=customer.name, exact=True))
    typist.keys("v")
    expect(page.locator("tr[data-row]").get_by_role("link", name="Overview")).to_be_focused()
    typist.keys("Tab", "Enter")
    expect(page).to_have_url(re.compile(f"/c/{customer.id}/payment$"))

    typist.follow("Top up")
    typist.press("Top up")
    expect(page.locator("#summary")).to_be_focused()
    typist.keys("Tab", "Enter")
    expect(page.get_by_role("textbox", name=re.compile("^Amount"))).to_be_focused()
    page.keyboard.type("40.00")
    typist.choose("Method", "Cash")
    typist.confirm("Top up")
    typist.sees_message("40.00")

    for letter, ending in (
        ("t", "transactions"),
        ("i", "invoices"),
        ("m", "members"),
        ("r", "support"),
        ("a", "audit"),
        ("e", "settings"),
        ("p", "payment"),
        ("o", "overview"),
    ):
        typist.keys("g", letter)
        expect(page).to_have_url(re.compile(f"/c/{customer.id}/{ending}$"))

    typist.keys("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    typist.keys("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    typist.keys("g", "e")
    typist.follow("Suspend")
    expect(page.get_by_role("dialog").get_by_role("heading").first).to_be_focused()
    typist.fill({"Reason": "not paid"})
    typist.press("Suspend organization")
    typist.sees_message("was suspended")
    typist.keys("g", "c")
    expect(page).to_have_url(re.compile("/customers$"))
    typist.keys("j", "j", "k", "Enter")
    expect(page).to_have_url(re.compile("/overview$"))
    typist.keys("g", "h")
    typist.sees_heading("Home")

    typist.hit(page.locator("details.me > summary"))
    typist.press("Sign out")
    typist.sees_heading("You're signed out")
    assert customer.get()["status"] == "suspended"
    assert customer.get("/account")["balance"] == "40.00"


def test_shortcuts_can_be_turned_off_and_ignore_fields(typist: Typist, embedded: Site) -> None:
    page = typist.page
    typist.sign_in(ADMIN, embedded.password)
    typist.keys("/")
    page.keyboard.type("g c?")
    expect(page.get_by_role("searchbox", name="Search customers")).to_have_value("g c?")
    expect(page).to_have_url(re.compile("/home$"))

    typist.go("/help")
    typist.press("Off")
    typist.go(typist.at("/home"))
    typist.keys("g", "c", "?")
    typist.sees_heading("Home")

    expect(page.get_by_role("dialog")).to_have_count(0)
