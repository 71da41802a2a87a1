"""Support sessions: Login As, Remote Support, active sessions, and the audit log of both sides."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from console.guard import sessions
from console.values.sealing import unseal
from console.views import support

from tests.console.browser import Browser, Page
from tests.console.provider import PASSWORD, Customer, Person, Provider

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


@pytest.fixture
def acme(provider: Provider) -> Customer:
    """A customer whose provider offers Remote Support."""
    provider.api("PATCH", "/v1/settings", {"managed_service": True})
    support.clear_cache()
    return provider.customer("Acme & Söhne", credits="100")


@pytest.fixture
def sven(acme: Customer) -> Person:
    """A staff member with the preset support."""
    return acme.provider.staff("manager")


def words_of(acme: Customer, sven: Person) -> list[str]:
    """What must not reveal the name of support staff to the customer."""
    return [
        sven.email,
        sven.email.partition("@")[0],
        sven.id,
        sven.member["identity_id"],
        sven.member["name"],
    ]


def log_in_as(console: Browser, acme: Customer, reason: str = "ticket 7") -> Page:
    """Log in as the owner, with the form."""
    return console.post(
        console.at(f"/c/{acme.id}/members/{acme.owner.id}/login-as"), {"reason": reason}
    )


def ask(console: Browser, acme: Customer, access: str = "full") -> str:
    """Request support access; the id of the grant."""
    page = console.post(
        console.at(f"/c/{acme.id}/support/request"),
        {"reason": "ticket 8", "access": access, "minutes": "60"},
    )
    match = re.search(r"/support/(grt_\w+)/", page.html)
    assert match, page.text
    return match[1]


def enter(console: Browser, acme: Customer, grant: str) -> Page:
    """Enter an account under a grant."""
    return console.post(console.at(f"/c/{acme.id}/support/{grant}/enter"))


def banner(page: Page) -> str:
    banners = page.top.find(class_="acting")
    return banners[0].text if banners else ""


def named(page: Page, words: list[str]) -> list[str]:
    return [word for word in words if word.casefold() in page.html.casefold()]


# --- Login As


def test_login_as_from_start_to_end(console: Browser, acme: Customer, sven: Person) -> None:
    sven.sign_in(console)
    own, path = console.workspace, console.at(f"/c/{acme.id}/members/{acme.owner.id}/login-as")
    form = console.get(f"{path}?reason=ticket+7")
    assert form.forms[-1].fields["reason"] == "ticket 7" and "You can't" in form.text

    inside = console.submit(action=path)

    assert (
        console.workspace.startswith("ses_")
        and inside.path == f"/at/{console.workspace}/c/{acme.id}/overview"
    )
    assert "You're logged in as Olga Owner at Acme & Söhne" in banner(inside) and re.search(
        r"until \d\d:\d\d UTC", inside.text
    )
    assert "support session" in inside.title and "End session" in inside.buttons
    assert inside.html.index('class="acting"') < inside.html.index('class="skip"'), (
        "the way out comes first"
    )
    acting = console.workspace

    console.get(f"/at/{acting}/c/{acme.id}/settings")
    back = console.submit(action=f"/at/{acting}/acting/stop")

    assert (
        back.path == f"/at/{own}/c/{acme.id}/members/{acme.owner.id}"
        and "left the session" in back.text
    )
    assert not banner(back)
    over = console.get(f"/at/{acting}/c/{acme.id}/overview")
    assert over.status == 410 and "ended" in over.text
    assert over.links["Back to my account"] == f"/at/{own}/c/{acme.id}/support"
    assert acme.staff("GET", "/remote-support")["inside"] == []


def test_the_token_stops_working_when_the_session_ends(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    log_in_as(console, acme)
    with console.system.console.app_context():
        visitor = sessions.identify(
            console.cookies["clientele"]
            if "clientele" in console.cookies
            else console.cookies["__Host-clientele"],
            console.workspace,
        )
        assert visitor is not None and visitor.workspace is not None
        token = unseal(visitor.secret, visitor.workspace.tokens)["access"]
    assert console.system.call("GET", "/v1/me", token=token).status_code == 200
    console.submit(action=f"/at/{console.workspace}/acting/stop")
    console.system.settle()
    assert console.system.call("GET", "/v1/me", token=token).status_code == 401


def test_what_support_may_not_do_is_hidden_and_refused(
    console: Browser, acme: Customer, sven: Person
) -> None:
    member = acme.member()
    sven.sign_in(console)
    log_in_as(console, acme)
    page = console.get(console.at(f"/c/{acme.id}/members/{member.id}"))
    assert page.status == 200
    for word in ("Disable", "Remove", "Reset PIN", "Log in as", "Make owner"):
        assert word not in page.links and word not in page.buttons, word
    for place in (
        "audit",
        "timeline",
        "delete",
        "members/new",
        f"members/{member.id}/login-as",
        "support/request",
    ):
        assert console.get(console.at(f"/c/{acme.id}/{place}")).status in (403, 404), place

    token = re.search(
        r'name="csrf" value="([^"]+)"', console.get(console.at(f"/c/{acme.id}/overview")).html
    )
    assert token
    console.send(
        "POST", console.at(f"/c/{acme.id}/members/{member.id}/disable"), {"csrf": token[1]}
    )
    assert console.page.status in (403, 404)
    assert acme.staff("GET", f"/members/{member.id}")["status"] == "active"


def test_two_workspaces_in_one_browser_do_not_mix(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    own = console.workspace
    log_in_as(console, acme)
    acting = console.workspace

    mine = console.get(f"/at/{own}/customers")
    theirs = console.get(f"/at/{acting}/c/{acme.id}/overview")

    assert mine.status == 200 and not banner(mine) and f"/at/{acting}" not in mine.html
    assert banner(theirs) and f"/at/{own}/" not in theirs.html.replace(
        theirs.html[theirs.html.index("<template") :], ""
    )
    assert console.get(f"/at/{own}/c/{acme.id}/audit").status == 200
    assert console.get(f"/at/{acting}/c/{acme.id}/audit").status == 403


def test_an_active_session_is_offered_instead(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    own = console.workspace
    log_in_as(console, acme)
    acting = console.workspace
    path = f"/at/{own}/c/{acme.id}/members/{acme.owner.id}/login-as"

    page = console.post(path, {"reason": "again"})

    assert (
        page.status == 409
        and "already have an active support session" in page.text
        and "/v1/" not in page.text
    )
    assert page.links["Open it"] == f"/at/{acting}/c/{acme.id}/overview"
    page = console.submit(action=f"/at/{own}/acting/{acting}/end")
    assert page.path == path and console.get(f"/at/{acting}/c/{acme.id}/overview").status == 410


@pytest.mark.parametrize("state", ["no portal access", "not verified", "disabled"])
def test_an_ineligible_member_is_explained_before_the_form(
    console: Browser, acme: Customer, sven: Person, state: str
) -> None:
    member_id = (
        acme.loginless()["id"]
        if state == "no portal access"
        else acme.member(accept=state != "not verified").id
    )
    if state == "disabled":
        acme.staff("POST", f"/members/{member_id}/disable")
    sven.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/members/{member_id}/login-as"))
    assert page.status == 200 and state in page.text and "Log in as" not in page.buttons


def test_login_as_needs_a_reason_and_the_right_role(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    page = log_in_as(console, acme, reason="")
    assert page.status == 422 and page.error("reason")
    other = browser()
    acme.provider.staff("support").sign_in(other)
    assert other.get(other.at(f"/c/{acme.id}/members/{acme.owner.id}/login-as")).status == 403


def test_the_page_notices_that_the_customer_ended_the_session(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    log_in_as(console, acme)
    acting, customer = console.workspace, browser()
    assert console.get(f"/at/{acting}/acting/pulse").status == 204

    acme.owner.sign_in(customer)
    page = customer.get(customer.at(f"/c/{acme.id}/support"))
    assert "Support is in this account as Olga Owner" in page.text
    page = customer.post(customer.at(f"/c/{acme.id}/support/{acting}/end"))

    assert "No one from your provider is in this account" in page.text
    assert console.get(f"/at/{acting}/acting/pulse").status == 410
    assert console.get(f"/at/{acting}/c/{acme.id}/payment").status == 410


# --- Remote Support


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


# --- audit


def test_the_audit_log_has_readable_labels(console: Browser, acme: Customer, sven: Person) -> None:
    sven.sign_in(console)
    own = console.workspace
    log_in_as(console, acme, reason="=HYPERLINK(1)")
    console.submit(action=f"/at/{console.workspace}/acting/stop")
    page = console.get(f"/at/{own}/c/{acme.id}/audit?actor_kind=support")
    text = " ".join(page.text.split())
    assert "Login As session started" in text and "Manager Tester logged in as Olga Owner" in text
    assert "=HYPERLINK(1)" in text and "Acting session" in text
    lines = console.send("GET", f"/at/{own}/c/{acme.id}/audit.csv?actor_kind=support")
    assert (
        lines.headers["Content-Type"].startswith("text/csv")
        and "attachment" in lines.headers["Content-Disposition"]
    )
    assert "'=HYPERLINK(1)" in lines.html and ",=HYPERLINK" not in lines.html
    assert len(lines.html.splitlines()) == 3 and "account.topped_up" not in lines.html


def test_audit_log_filters(console: Browser, acme: Customer) -> None:
    acme.provider.owner.sign_in(console)
    at = console.at(f"/c/{acme.id}/audit")
    rows = console.get(f"{at}?action=account.topped_up").rows
    assert len(rows) == 1 and "Account topped up" in rows[0][1] and "100.00" in rows[0][5]
    assert "No entries match" in console.get(f"{at}?action=nothing.like_it").text
    assert "No entries match" in console.get(f"{at}?to=2020-01-01").text
    assert console.get(f"{at}?from=2020-01-01").rows
    page = console.get(f"{at}?from=yesterday")
    assert page.status == 422 and page.error("from") and page.title.startswith("Error")
    assert console.get(f"{at}?outcome=perhaps").status == 422
    assert console.get(f"/at/{console.workspace}/c/{console.workspace}/audit").status == 200, (
        "the provider's own"
    )
    assert "Account topped up" in console.get(console.at(f"/c/{acme.id}/timeline")).text


def test_denied_actions_are_marked(console: Browser, acme: Customer) -> None:
    viewer = acme.provider.staff("viewer")
    token = console.system.call(
        "POST", "/v1/sessions", {"email": viewer.email, "password": PASSWORD}
    ).json
    response = console.system.call(
        "POST", f"/v1/organizations/{acme.id}/suspend", {"reason": "x"}, token=token["access_token"]
    )
    assert response.status_code == 403
    acme.provider.owner.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/audit?outcome=denied"))
    assert len(page.rows) == 1 and "Denied" in page.rows[0][1]

    body = {"name": "a program", "scopes": ["org:read"]}
    assert (
        console.system.call("POST", "/v1/api-keys", body, token=token["access_token"]).status_code
        == 403
    )
    page = console.get(console.at(f"/c/{console.workspace}/audit?outcome=denied&endpoint=x"))
    assert page.status == 200 and "Denied" in page.rows[0][1], (
        "what was refused was done to nothing"
    )


@pytest.mark.parametrize("typed", ["\u00b2", "9" * 5000, "1e3", "-"])
def test_an_invalid_amount_is_explained(console: Browser, acme: Customer, typed: str) -> None:
    acme.provider.owner.sign_in(console)
    token = {"csrf": console.page.forms[-1].fields["csrf"]}
    fields = {"reason": "ticket 8", "access": "full", "minutes": typed}
    assert (
        console.send("POST", console.at(f"/c/{acme.id}/support/request"), token | fields).status
        == 422
    )
    for settings in ({"payment_terms_days": typed}, {"rows": typed}, {"do": f"drop-{typed}"}):
        assert (
            console.send("POST", console.at("/provider/settings"), token | settings).status == 422
        )


# --- the customer's own side


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_customer_members_see_their_own_organization(
    console: Browser, acme: Customer, role: str
) -> None:
    other = acme.provider.customer("Elsewhere Ltd.")
    (acme.owner if role == "owner" else acme.member(role)).sign_in(console)
    assert console.workspace == acme.id
    waiting, seen = [console.page.path], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = console.get(path)
        assert page.status == 200, (path, page.status, page.text[:300])
        assert "Elsewhere" not in page.text and other.id not in page.html
        waiting += [
            link
            for link in page.links.values()
            if link.startswith("/at/") and "?" not in link and not link.endswith((".csv", ".pdf"))
        ]
    assert (f"/at/{acme.id}/c/{acme.id}/audit" in seen) == (role != "member")
    assert console.get(f"/at/{acme.id}/c/{other.id}/overview").status == 404


@pytest.mark.parametrize("place", ["overview", "support", "audit", "timeline"])
def test_the_number_of_statements_of_a_page(
    console: Browser, acme: Customer, sven: Person, place: str
) -> None:
    sven.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/{place}"))
    statements = console.statements(console.at(f"/c/{acme.id}/{place}"))
    assert len(statements) <= 12, (len(statements), statements)
