"""Remote Support, page by page."""

from collections.abc import Callable
from urllib.parse import quote

from console.views import support

from tests.console.access.conftest import ask, banner, enter, log_in_as
from tests.console.browser import Browser, Page
from tests.console.provider import Customer, Person

SECTIONS = (
    "overview",
    "payment",
    "transactions",
    "invoices",
    "members",
    "support",
    "audit",
    "timeline",
    "settings",
)


def words_of(acme: Customer, sven: Person) -> list[str]:
    """What must not reveal the name of support staff to the customer."""
    return [
        sven.email,
        sven.email.partition("@")[0],
        sven.id,
        sven.member["identity_id"],
        sven.member["name"],
    ]


def named(page: Page, words: list[str]) -> list[str]:
    return [word for word in words if word.casefold() in page.html.casefold()]


def test_without_approval_if_the_provider_manages(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    own = console.workspace
    grant = ask(console, acme)
    page = enter(console, acme, grant)
    assert "You're in Acme & Söhne as Support" in banner(page) and "view and edit" in banner(page)
    assert "Manager Tester is in this account" in console.get(f"/at/{own}/c/{acme.id}/support").text


def test_with_approval_and_ended_by_the_customer(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    acme.staff("PATCH", "", {"managed_by": "customer"})
    customer, place = browser(), f"/c/{acme.id}/support"
    sven.sign_in(console)
    own = console.workspace
    grant = ask(console, acme, access="read")
    page = console.get(console.at(place))
    assert "Waiting for approval" in page.text and f"/support/{grant}/enter" not in page.html
    assert "not approved this request yet" in console.get(console.at(f"{place}/{grant}/enter")).text

    acme.owner.sign_in(customer)
    page = customer.get(customer.at(place))
    assert "Support requests access" in page.text and "ticket 8" in page.text
    page = customer.post(customer.at(f"{place}/{grant}/approve"))
    assert "access approved" in page.text

    page = enter(console, acme, grant)
    assert "view only" in banner(page)
    acting = console.workspace
    assert "Edit" not in page.links and "Add member" not in page.links
    page = console.get(console.at(f"/c/{acme.id}/settings"))
    assert page.status == 200 and "Save" not in page.buttons

    assert (
        "Support is in this account through Remote Support: view only"
        in customer.get(customer.at(f"/c/{acme.id}/overview")).text
    )
    page = customer.post(customer.at(f"{place}/{grant}/end"))
    assert "No one from your provider is in this account" in page.text
    assert console.get(f"/at/{acting}/c/{acme.id}/overview").status == 410
    page = console.get(f"/at/{own}{place}")
    assert "ended by the customer" in page.text and f"/support/{grant}/enter" not in page.html


def test_a_customer_declines_a_request(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    admin, customer = acme.member("admin"), browser()
    acme.staff("PATCH", "", {"managed_by": "customer"})
    sven.sign_in(console)
    grant = ask(console, acme)
    again = console.post(
        console.at(f"/c/{acme.id}/support/request"), {"reason": "twice", "minutes": "60"}
    )
    assert again.status == 409 and "waiting for the customer" in again.text
    admin.sign_in(customer)
    page = customer.post(customer.at(f"/c/{acme.id}/support/{grant}/end"))
    assert "Declined" in page.text
    assert "Declined" in console.get(console.at(f"/c/{acme.id}/support")).text


def test_an_admin_whom_staff_added_approves_once_the_owner_has_confirmed_them(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    admin, theirs, owner = acme.member("admin"), browser(), browser()
    acme.staff("PATCH", "", {"managed_by": "customer"})
    sven.sign_in(console)
    grant = ask(console, acme)
    admin.sign_in(theirs)
    acme.owner.sign_in(owner)
    approval, person = f"/c/{acme.id}/support/{grant}/approve", f"/c/{acme.id}/members/{admin.id}"

    page = theirs.post(theirs.at(approval))
    assert page.status == 403 and "confirm you first" in page.text
    assert "Confirm" not in theirs.get(theirs.at(person)).links
    page = owner.get(owner.at(person))
    assert page.facts["Confirmed"].startswith("No.")
    page = owner.post(owner.get(page.links["Confirm"]).path)

    assert "was confirmed" in page.banners[0] and "Confirmed" not in page.facts
    assert "access approved" in theirs.post(theirs.at(approval)).text


def test_login_as_needs_approval_if_the_customer_manages_itself(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    acme.staff("PATCH", "", {"managed_by": "customer"})
    owner, person = browser(), f"/c/{acme.id}/members/{acme.owner.id}/login-as"
    sven.sign_in(console)
    assert "only while it has approved support access" in console.get(console.at(person)).text
    page = console.submit({"reason": "ticket 9"})
    assert page.status == 409 and "Request support access" in page.text
    grant = ask(console, acme)
    acme.owner.sign_in(owner)
    owner.post(owner.at(f"/c/{acme.id}/support/{grant}/approve"))

    own = console.workspace
    page = console.post(console.at(person), {"reason": "ticket 9"})

    assert "You're logged in as Olga Owner" in banner(page)
    acting = console.workspace
    owner.post(owner.at(f"/c/{acme.id}/support/{grant}/end"))
    assert console.get(f"/at/{acting}/c/{acme.id}/overview").status == 410
    assert console.get(f"/at/{own}{person}").status == 200


def test_active_sessions_are_sent_only_when_they_changed(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    customer = browser()
    acme.owner.sign_in(customer)
    page = customer.get(customer.at(f"/c/{acme.id}/support"))
    path = str(page.top.find(class_="now")[0].attrs["hx-get"])
    assert customer.send("GET", path, headers={"HX-Request": "true"}).status == 204

    sven.sign_in(console)
    log_in_as(console, acme)
    page = customer.send("GET", path, headers={"HX-Request": "true"})

    assert (
        page.status == 200
        and "Support is in this account as Olga Owner" in page.text
        and "<html" not in page.html
    )
    path = str(page.top.find(class_="now")[0].attrs["hx-get"])
    assert customer.send("GET", path, headers={"HX-Request": "true"}).status == 204
    assert customer.get(path).path.endswith("/support"), "a plain request gets the whole page"


def test_remote_support_is_hidden_when_turned_off(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    assert "Remote Support" in console.get(console.at(f"/c/{acme.id}/overview")).links
    acme.provider.api("PATCH", "/v1/settings", {"managed_service": False})
    support.clear_cache()
    assert "Remote Support" not in console.get(console.at(f"/c/{acme.id}/overview")).links
    page = console.get(console.at(f"/c/{acme.id}/support"))
    assert (
        page.status == 200
        and "turned off" in page.text
        and "Request support access" not in page.links
    )
    page = console.post(
        console.at(f"/c/{acme.id}/support/request"), {"reason": "x", "minutes": "60"}
    )
    assert page.status == 409 and "turned off" in page.text


def test_opening_a_customers_address_starts_no_support_session(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    ask(console, acme)
    console.get(f"/at/{acme.id}/c/{acme.id}/overview")
    assert console.page.status == 404
    assert acme.staff("GET", "/remote-support")["inside"] == []


def test_the_customer_never_sees_the_name_of_support_staff(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    customer, words = browser(), words_of(acme, sven)
    sven.sign_in(console)
    own = console.workspace
    acme.owner.sign_in(customer)
    log_in_as(console, acme)
    pages = [customer.get(customer.at(f"/c/{acme.id}/{place}")) for place in SECTIONS]
    console.get(console.at(f"/c/{acme.id}/overview"))
    console.submit(action=f"/at/{console.workspace}/acting/stop")
    console.get(f"/at/{own}/c/{acme.id}/support")
    enter(console, acme, ask(console, acme))
    pages += [customer.get(customer.at(f"/c/{acme.id}/{place}")) for place in SECTIONS]
    pages += [
        customer.get(customer.at("/me/sessions")),
        customer.send("GET", customer.at(f"/c/{acme.id}/audit.csv")),
    ]
    for word in words:
        pages.append(customer.get(customer.at(f"/c/{acme.id}/audit?actor={quote(word)}")))
        assert not pages[-1].rows, "no filter finds it out"
    assert [
        (page.path, names)
        for page in pages
        if (names := named(page, words)) and "actor=" not in page.path
    ] == []
    assert "Support acting as Olga Owner" in customer.get(customer.at(f"/c/{acme.id}/audit")).text
    assert "Support" in pages[SECTIONS.index("support")].text
    assert named(console.get(f"/at/{own}/c/{acme.id}/audit"), words), "staff do learn it"
