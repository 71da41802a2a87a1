"""axe-core has no findings on any page in any state, in light and in dark."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser import axe
from tests.browser.conftest import Arrivals
from tests.browser.sites import PASSWORD, Customer, Site

BELOW_A_CUSTOMER = (
    "overview",
    "payment",
    "payment/top-up",
    "payment/mode",
    "transactions",
    "invoices",
    "payments",
    "members",
    "ownership",
    "support",
    "audit",
    "timeline",
    "settings",
    "delete",
)
# Forms made of the same fields and buttons as those above, and as the refused ones below.
FORMS = (
    "payment/withdraw",
    "payment/charge",
    "payment/adjust",
    "payment/limit",
    "payment/auto-top-up",
    "invoices/issue",
    "payments/record",
    "members/new",
    "ownership/new",
    "support/request",
    "settings/suspend",
    "settings/hand-over",
)
OF_ONES_OWN = (
    "home",
    "customers",
    "customers/new/organization",
    "provider/settings",
    "provider/wallet",
    "provider/wallet/top-up",
    "me/organizations",
    "me/sessions",
    "me/security",
    "me/security/codes",
    "me/security/password",
    "me/keys",
    "me/keys/new",
)


@pytest.fixture(scope="module")
def busy(embedded: Site) -> Customer:
    """A postpaid customer with one of everything."""
    one = embedded.open(
        name="Busy & Sons", payment_mode="postpaid", credit_limit="500.00", managed_by="provider"
    )
    one.charge("120.00")
    one.post("/invoices")
    one.post("/payments", {"amount": "20.00", "method": "cash"})
    one.charge("12.00")
    one.post("/account/reservations", {"amount": "30.00", "description": "A call"})
    one.member()
    one.member(verified=False)
    one.post("/members", {"name": "Desk phone", "portal_access": False})
    one.post("/remote-support", {"reason": "ticket 1"})
    return one


@pytest.fixture
def objections() -> Iterator[dict[str, list[str]]]:
    """What was found where; empty at the end."""
    findings: dict[str, list[str]] = {}
    yield findings
    assert not any(findings.values()), "\n".join(
        f"{where}: {one}" for where, several in findings.items() for one in dict.fromkeys(several)
    )


@pytest.mark.exhaustive
def test_forms_below_a_customer(
    arrive: Arrivals, busy: Customer, objections: dict[str, list[str]]
) -> None:
    person = arrive(busy.site)
    for below in FORMS:
        assert person.go(person.at(f"/c/{busy.id}/{below}")).status == 200, below
        objections[below] = axe.objections(person.page)


def test_open_pages(arrive: Arrivals, embedded: Site, objections: dict[str, list[str]]) -> None:
    person = arrive(embedded, "")
    customer = embedded.open()
    for path in (
        "/sign-in",
        "/signed-out",
        "/help",
        "/reset",
        "/reset?sent=1",
        embedded.link(customer.owner),
        "/verify/no-such-token",
        "/nothing/here",
    ):
        person.go(path)
        objections[path] = axe.objections(person.page)
    person.go("/sign-in")
    person.fill({"Email address": "nobody@example.com", "Password": "wrong wrong wrong"})
    person.press("Sign in")
    person.sees_heading("There is a problem")
    objections["sign-in refused"] = axe.objections(person.page)


def test_pages_of_your_own_account(
    arrive: Arrivals, embedded: Site, busy: Customer, objections: dict[str, list[str]]
) -> None:
    person = arrive(embedded)
    for below in OF_ONES_OWN:
        assert person.go(person.at(f"/{below}")).status == 200, below
        objections[below] = axe.objections(person.page)
    person.go(person.at("/provider/wallet/top-up"))
    person.fill({"Amount": "100"})
    person.press("Top up wallet")
    person.sees_heading("Transactions")
    objections["wallet with a top-up"] = axe.objections(person.page)
    person.follow(re.compile("^Reverse Wallet top-up"))
    person.sees_heading("Reverse top-up?")
    objections["reversal of the wallet"] = axe.objections(person.page)
    person.go(person.at("/me/security/codes"))
    person.press("Show key")
    person.sees_heading("Your authenticator key")
    objections["enrollment"] = axe.objections(person.page)
    for below in (
        "customers?q=nobody-has-this-name",
        "customers?sort=nonsense",
        "c/org_00000000000000000000000000",
        f"c/{busy.id}/nothing",
    ):
        assert person.go(person.at(f"/{below}")).status in (200, 404, 422), below
        objections[below] = axe.objections(person.page)
    person.go(person.at("/customers/new/organization"))
    person.press("Continue")
    person.sees_heading("There is a problem")
    objections["opening, refused"] = axe.objections(person.page)


def test_pages_of_a_customer(
    arrive: Arrivals, busy: Customer, objections: dict[str, list[str]]
) -> None:
    person = arrive(busy.site)
    member = busy.get("/members")["data"][0]["id"]
    invoice = busy.get("/invoices")["data"][0]["id"]
    transaction = busy.get("/account/transactions")["data"][0]["id"]
    for below in (
        *BELOW_A_CUSTOMER,
        f"members/{member}",
        f"members/{member}/edit",
        f"members/{member}/login-as",
        f"invoices/{invoice}",
        f"invoices/{invoice}/credit",
        f"transactions/{transaction}",
    ):
        assert person.go(person.at(f"/c/{busy.id}/{below}")).status == 200, below
        objections[below] = axe.objections(person.page)
    for below, verb in (
        ("payment/top-up", "Top up"),
        ("members/new", "Add member"),
        ("support/request", "Grant access"),
    ):
        person.go(person.at(f"/c/{busy.id}/{below}"))
        person.press(verb)
        person.sees_heading("There is a problem")
        assert person.page.title().startswith("Error: ")
        objections[f"{below}, refused"] = axe.objections(person.page)


def test_an_empty_customer(
    arrive: Arrivals, embedded: Site, objections: dict[str, list[str]]
) -> None:
    person, customer = arrive(embedded), embedded.open(managed_by="customer")
    for below in (
        "overview",
        "payment",
        "transactions",
        "invoices",
        "payments",
        "members",
        "support",
        "ownership",
        "delete",
    ):
        assert person.go(person.at(f"/c/{customer.id}/{below}")).status == 200, below
        objections[f"empty {below}"] = axe.objections(person.page)
    customer.post("/suspend", {"reason": "not paid"}, status=200)
    person.go(person.at(f"/c/{customer.id}/settings"))
    objections["suspended"] = axe.objections(person.page)
    embedded.staff.call("DELETE", customer.path, {"reason": "test"}, wait=10)
    person.go(person.at(f"/c/{customer.id}/deletion"))
    objections["to be deleted"] = axe.objections(person.page)


def test_menus_and_dialogs(
    arrive: Arrivals, embedded: Site, busy: Customer, objections: dict[str, list[str]]
) -> None:
    person = arrive(embedded)
    person.go(person.at(f"/customers?q={busy.id}"))
    person.hit(person.page.locator("tr[data-row] summary"))
    objections["menu of a row"] = axe.objections(person.page)
    person.go(person.at("/home"))
    person.hit(person.page.locator("details.me > summary"))
    objections["own menu"] = axe.objections(person.page)
    person.page.keyboard.press("Escape")
    person.page.keyboard.press("Control+k")
    expect(person.page.get_by_role("dialog")).to_be_visible()
    objections["palette"] = axe.objections(person.page)
    person.page.keyboard.press("Escape")
    person.go(person.at(f"/c/{busy.id}/settings"))
    opener = person.page.get_by_role("link", name="Suspend", exact=True)
    opener.click()
    dialog = person.page.get_by_role("dialog", name="Suspend this organization?")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading").first).to_be_focused()
    objections["dialog"] = axe.objections(person.page)
    person.press("Suspend organization", within=dialog)
    expect(dialog.get_by_role("heading", name="There is a problem")).to_be_visible()
    objections["dialog, refused"] = axe.objections(person.page)
    person.page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    person.page.keyboard.press("?")
    expect(person.page.get_by_role("dialog", name="Help")).to_be_visible()
    objections["help"] = axe.objections(person.page)


def test_pages_of_a_support_session(
    arrive: Arrivals, embedded: Site, objections: dict[str, list[str]]
) -> None:
    person, customer = arrive(embedded), embedded.open()
    embedded.join(customer.owner)
    owner = customer.get("/members")["data"][0]["id"]
    person.go(person.at(f"/c/{customer.id}/members/{owner}/login-as"))
    person.fill({"Reason": "ticket 1"})
    person.press(re.compile("^Log in as"))
    person.reads("You're logged in as Ada Owner")
    person.settle()
    objections["acting"] = axe.objections(person.page)
    theirs = arrive(embedded, customer.owner, PASSWORD)
    for below in (
        "home",
        f"c/{customer.id}/overview",
        f"c/{customer.id}/support",
        f"c/{customer.id}/members",
        f"c/{customer.id}/settings",
        f"c/{customer.id}/payment",
    ):
        theirs.go(theirs.at(f"/{below}"))
        objections[f"customer's own {below}"] = axe.objections(theirs.page)
    person.go(person.at(f"/c/{customer.id}/members"))  # which nothing reloads, as a poll does
    theirs.go(theirs.at(f"/c/{customer.id}/support"))
    theirs.follow(re.compile("^End session"))
    theirs.press("End session")
    theirs.sees_message("Ended")
    person.sees_heading("This support session has ended")
    expect(person.page.locator("body")).not_to_contain_text(customer.name)
    objections["acting is over"] = axe.objections(person.page)
