"""The ten main jobs, each starting from the list of customers, with a mouse: in both deployment
modes, and without JavaScript."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Arrivals
from tests.browser.people import Person
from tests.browser.sites import PASSWORD, Customer, Site
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("watch")
WAYS: dict[str, dict[str, Any]] = {
    "embedded": {},
    "processes": {},
    "without script": {"java_script_enabled": False},
}


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("processes", marks=pytest.mark.exhaustive),
        pytest.param("without script", marks=pytest.mark.exhaustive),
    ],
    scope="session",
)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, way: str) -> Site:
    running: Site = request.getfixturevalue("processes" if way == "processes" else "embedded")
    return running


@pytest.fixture
def person(arrive: Arrivals, site: Site, way: str) -> Person:
    """A manager of the provider, signed in, on Home."""
    return arrive(site, **WAYS[way])


@pytest.fixture
def customer(site: Site) -> Customer:
    return site.open()


def test_1_payment_matters_of_a_postpaid_account(person: Person, site: Site) -> None:
    customer = site.open(payment_mode="postpaid", credit_limit="500.00")
    customer.charge("120.00")
    customer.post("/account/reservations", {"amount": "30.00", "description": "A call"})
    person.find(customer.name, "Payment")

    person.figure("Usable credits", "350.00", owed=False)
    person.figure("Expecting invoice", "120.00", owed=True)
    person.figure("Reserved", "30.00")
    person.reads("How it adds up", "500.00")
    person.follow("Issue invoice")
    person.press("Issue invoice")
    person.sees_message("was issued")
    person.section("Payment")
    person.figure("Expecting invoice", "0.00", owed=False)
    person.figure("Amount due", "120.00", owed=True)
    person.figure("Current balance", "120.00", owed=True)
    person.figure("Usable credits", "470.00")
    person.follow("Record payment")
    person.fill({"Amount": "150.00", "Reference": "transfer 1"})
    person.choose("Method", "Bank transfer")
    person.confirm("Record payment")
    person.sees_message("150.00")
    person.section("Payment")

    person.figure("Amount due", "30.00", owed=False)
    person.figure("Usable credits", "500.00")
    assert customer.get("/account")["amount_due"] == "30.00"


def test_1_payment_matters_of_a_prepaid_account(person: Person, customer: Customer) -> None:
    person.find(customer.name, "Payment")
    person.follow("Top up")
    person.choose("Method", "Cash")
    person.fill({"Amount": "50.00"})
    person.confirm("Top up")
    person.sees_message("50.00")
    person.open_more()
    person.follow("Credit limit")
    person.fill({"Credit limit": "20.00"})
    person.press("Set limit")
    person.sees_message("20.00")
    person.figure("Usable credits", "70.00")
    person.open_more()
    person.follow("Charge")
    person.fill({"Amount": "65.00", "Description": "Calls of May"})
    person.tick("Usage")
    person.confirm("Charge account")
    person.sees_message("65.00")
    person.figure("Balance", "15.00", owed=True)
    person.reads("owed", "using its credit limit")
    person.follow(re.compile("Change the automatic top-up"))
    person.tick("Top up automatically")
    person.fill({"Amount": "25.00"})
    person.choose("Method", "Bank transfer")
    person.press("Save")
    person.reads("25.00")
    person.open_more()
    person.reads("There is nothing to withdraw.")

    account = customer.get("/account")
    assert (account["balance"], account["credit_limit"], account["auto_top_up"]["amount"]) == (
        "-15.00",
        "20.00",
        "25.00",
    )


def test_2_update_member_info(
    arrive: Arrivals, person: Person, customer: Customer, way: str
) -> None:
    grace = customer.member()
    person.find(customer.name, "Members")
    person.follow(grace["name"])
    person.follow("Edit")
    new = f"new-{grace['email']}"
    person.fill({"Name in this organization": "Rear Admiral", "Email address": new})
    person.tick(re.compile("^Member:"))
    person.press("Save changes")
    person.sees_message(f"We sent an email to {new}")
    person.reads("Rear Admiral", new, "not confirmed yet")

    other = arrive(customer.site, "", **WAYS[way])
    other.go(customer.site.link(new))
    other.press("Confirm email address")
    person.section("Members")
    person.follow(re.compile("^Rear Admiral"))
    person.reads(new, "Active")
    person.follow("Edit")
    person.tick(re.compile("^No:"))
    person.press("Save changes")
    person.reads("This PIN is shown only once")

    after = customer.get(f"/members/{grace['id']}")
    assert (after["name"], after["portal_access"]) == ("Rear Admiral", False)


@pytest.mark.every_mode
def test_3_delete_or_suspend_a_customer_account(person: Person, customer: Customer) -> None:
    customer.top_up("10.00")
    person.find(customer.name, "Settings")
    person.follow("Suspend")
    person.fill({"Reason": "not paid"})
    person.press("Suspend organization")
    person.sees_message("was suspended")
    person.reads("No one in this organization can sign in")
    person.follow("Activate")
    person.press("Activate organization")
    person.sees_message("is active again")

    person.follow("Delete")
    person.reads("1 issue must be resolved first", "10.00")
    person.lacks("button", "Delete organization")
    person.follow("Withdraw credits")
    person.choose("Method", "Cash")
    person.fill({"Reason": "closing"})
    person.confirm("Withdraw")
    person.sees_message("10.00")
    person.section("Settings")
    person.follow("Delete")
    person.reads("The account is empty")
    person.fill({"Organization name": "something else", "Reason": "asked for it"})
    person.press("Delete organization")
    person.reads("Enter the organization name exactly as shown above")
    person.fill({"Organization name": customer.name})
    person.press("Delete organization")
    person.sees_message("is scheduled for deletion")
    person.reads(re.compile("(29|30) days left"))
    assert customer.get()["status"] == "suspended_for_deletion"
    person.follow("Activate organization")
    person.press("Activate organization")
    person.sees_message("is active again")

    assert customer.get()["status"] == "active"


def test_4_change_ownership(person: Person, customer: Customer) -> None:
    grace = customer.member()
    late = customer.member(verified=False, given_name="Late")
    person.find(customer.name, "Members")
    person.follow("Ownership")
    person.follow("Transfer ownership")
    person.lacks("link", f"Choose {late['name']}")
    person.follow(f"Choose {grace['name']}")
    person.fill({"Reason": "Ada has left"})
    person.press("Transfer ownership")
    person.sees_heading("There is a problem")
    person.fill({"Organization name": customer.name})
    person.press("Transfer ownership")

    person.sees_message(f"{grace['name']} is now the owner")
    person.reads("Follow-up")
    roles = {one["name"]: one["role"] for one in customer.get("/members")["data"]}
    assert (roles["Ada Owner"], roles[grace["name"]]) == ("admin", "owner")


def test_5_add_members(arrive: Arrivals, person: Person, customer: Customer, way: str) -> None:
    address = f"joan-{customer.id}@customer.example"
    person.find(customer.name, "Members")
    person.follow("Add member")
    person.fill({"Name": "Joan Clarke", "Email address": address})
    person.tick(re.compile("^Yes:"))
    person.tick(re.compile("^Admin:"))
    person.press("Add member")
    person.sees_message(f"We sent an email to {address}")
    person.section("Members")
    person.follow("Add member")
    person.fill({"Name": "Desk phone", "Extension": "4711"})
    person.tick(re.compile("^No:"))
    person.press("Add member")
    person.reads("This PIN is shown only once", "4711")
    pin = person.page.locator("dl.secret code").nth(1).inner_text()
    person.follow("I've saved the PIN")
    person.sees_heading("Desk phone")

    joan = arrive(customer.site, "", **WAYS[way])
    joan.go(customer.site.link(address))
    joan.fill({"New password": PASSWORD})
    joan.press("Join")
    joan.follow("Sign in")
    joan.sign_in(address, PASSWORD)
    joan.reads(customer.name)
    assert customer.site.knows_pin(customer.id, "4711", re.sub(r"\D", "", pin))
    assert {one["name"] for one in customer.get("/members")["data"]} == {
        "Ada Owner",
        "Joan Clarke",
        "Desk phone",
    }


def test_6_edit_a_customer_account(person: Person, customer: Customer) -> None:
    person.find(customer.name, "Settings")
    person.reads("The billing name is the same as the organization's name")
    name = f"Renamed {customer.name}"
    person.fill(
        {
            "Organization name": name,
            "Billing email": "bills@renamed.example",
            "CustomerRef": "C-1",
            "BillingRef": "B-2",
            "TypeRef": "T-3",
        }
    )
    person.press("Save settings")
    person.sees_message("Settings saved")
    assert customer.get()["billing"]["name"] == name
    person.fill({"Billing name": "Renamed GmbH"})
    person.press("Save settings")
    person.sees_message("Settings saved")
    person.reads("The billing name was set separately")

    after = customer.get()
    assert (after["name"], after["billing"]["name"], after["billing"]["email"]) == (
        name,
        "Renamed GmbH",
        "bills@renamed.example",
    )
    assert after["buyer_tags"] == {"CustomerRef": "C-1", "BillingRef": "B-2", "TypeRef": "T-3"}


def test_7_create_a_customer_account(
    arrive: Arrivals, person: Person, site: Site, way: str
) -> None:
    name, address = f"“Zoë & Sons” [{way}] <b>", f"zoe-{way.replace(' ', '-')}@customer.example"
    person.follow("Customers")
    person.follow("Create organization")
    person.fill({"Organization name": name})
    person.press("Continue")
    person.sees_heading("There is a problem")
    person.choose("Country", "Germany")
    person.tick(re.compile("^App:"))
    person.press("Continue")
    person.tick(re.compile("^Postpaid:"))
    person.fill({"Credit limit": "500.00", "Billing email": address, "CustomerRef": "Z-1"})
    person.press("Continue")
    person.fill({"Given name": "Zoë", "Family name": "Schmidt"})
    person.press("Continue")
    person.reads("Permanent", "Germany", "Europe/Berlin", name, address)
    person.press("Create organization")
    person.sees_message("was created")
    expect(person.page.get_by_role("heading", level=1)).to_have_text(name)

    zoe = arrive(site, "", **WAYS[way])
    zoe.go(site.link(address))
    zoe.fill({"New password": PASSWORD})
    zoe.press("Join")
    zoe.follow("Sign in")
    zoe.sign_in(address, PASSWORD)
    zoe.reads(name)
    zoe.lacks("link", "Customers")


def test_8_log_in_to_a_customer_account(
    arrive: Arrivals, person: Person, customer: Customer, way: str
) -> None:
    customer.site.join(customer.owner)
    owner = arrive(customer.site, customer.owner, PASSWORD, **WAYS[way])
    person.find(customer.name, "Members")
    person.follow("Ada Owner")
    person.follow("Log in as")
    person.fill({"Reason": "ticket 4711"})
    person.press(re.compile("^Log in as"))
    person.reads("You're logged in as Ada Owner")
    owner.go(owner.at(f"/c/{customer.id}/support"))
    owner.reads("is in this account as Ada Owner", "ticket 4711")
    person.press("End session")
    person.sees_message("You've left the session")

    person.section("Remote Support")
    person.follow("Request support access")
    person.fill({"Reason": "ticket 4712"})
    person.press("Grant access")
    person.follow(re.compile("^Enter"))
    person.press("Enter account")
    person.reads(f"You're in {customer.name} as Support")
    workspace = person.page.url
    owner.go(owner.at(f"/c/{customer.id}/support"))
    owner.reads("Support is in this account through Remote Support", "ticket 4712")
    owner.follow(re.compile("^End session"))
    owner.press("End session")
    owner.reads("No one from your provider is in this account")

    def is_out() -> bool:
        person.page.goto(workspace)
        return person.page.get_by_role(
            "heading", name="This support session has ended"
        ).is_visible()

    until(is_out)


def test_9_every_customer_in_one_place(person: Person, customer: Customer) -> None:
    customer.top_up("33.00")
    customer.charge("11.00")
    person.follow("Customers")
    expect(person.page.locator("tr[data-row]").first).to_be_visible()
    person.find(customer.name)
    person.reads(
        "Credits",
        "22.00",
        "Members",
        "Ada Owner",
        "Balance over 30 days",
        "Recent transactions",
        "Calls",
        "Recent activity",
    )
    person.follow("Top up")
    person.fill({"Amount": "1.00"})
    person.choose("Method", "Cash")
    person.confirm("Top up")
    person.sees_message("1.00")
    person.follow("Customers")
    with person.page.expect_download() as file:
        person.follow("Export all as CSV")
    lines = file.value.path().read_text("utf-8-sig").splitlines()

    assert any(customer.id in line and "23.00" in line for line in lines)


def test_10_navigate_to_a_section(person: Person, customer: Customer) -> None:
    person.find(customer.name)
    listed = person.at(f"/customers?q={customer.id}")
    for name in (
        "Payment",
        "Transactions",
        "Invoices",
        "Members",
        "Remote Support",
        "Audit log",
        "Settings",
        "Overview",
    ):
        person.go(listed)
        person.view(customer.name, name)
        expect(
            person.page.get_by_role("navigation", name=re.compile("^Sections of")).get_by_role(
                "link", name=name, exact=True
            )
        ).to_have_attribute("aria-current", "page")
        person.lacks("link", "Subscriptions")
