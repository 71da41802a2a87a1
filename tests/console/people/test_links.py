"""Links from emails."""

import re
from collections.abc import Callable

from tests.console.browser import Browser, Page
from tests.console.people.conftest import members
from tests.console.provider import PASSWORD, Customer, Provider
from tests.console.system import Whole

NEW = "seven quiet herons wade"


def test_opening_an_invitation_does_not_use_it(
    provider: Provider, browser: Callable[[], Browser], whole: Whole
) -> None:
    acme, hers = provider.customer("Acme & <Sons>"), browser()
    ann = acme.member("member", given="Ann", accept=False)
    link = whole.link(ann.email)
    for _ in range(2):
        page = hers.get(link)
        assert page.status == 200 and page.headings == ["Join Acme & <Sons>"] and not page.banners
        assert page.headers["Referrer-Policy"] == "no-referrer" and ann.email in page.text
    assert "Use 15 to 128 characters" in page.text and 'autocomplete="new-password"' in page.html
    page = hers.submit({"password": "too little"})
    assert (
        page.status == 422
        and "15 to 128" in page.error("password")
        and "too little" not in page.html
    )
    page = hers.submit({"password": NEW})
    assert page.status == 200 and page.headings == ["You have joined Acme & <Sons>"]
    for method in ("GET", "POST"):
        page = hers.send(method, link, {"password": NEW} if method == "POST" else None)
        assert page.status == 410 and "no longer works" in page.headings[0]
    assert "Request a new invitation" in page.buttons
    assert hers.submit().headings == ["Request sent"]
    assert hers.sign_in(ann.email, NEW).status == 200


def test_a_link_asks_nobody_for_a_second_password(
    console: Browser, provider: Provider, whole: Whole, browser: Callable[[], Browser]
) -> None:
    acme, globex, hers = provider.customer("Acme"), provider.customer("Globex"), browser()
    ann = acme.member("member", given="Ann", accept=False)
    first = whole.link(ann.email)
    body = {"name": "Ann Tester", "email": ann.email, "portal_access": True, "role": "member"}
    added = globex.staff("POST", "/members", body)
    second = whole.link(ann.email)
    other_tab = browser()
    assert "password" in other_tab.get(second).forms[-1].names
    hers.send("POST", first, {"password": NEW})

    page = other_tab.submit({"password": "another quiet heron waits"})

    assert globex.staff("GET", f"/members/{added['id']}")["status"] == "pending"
    assert page.status == 200 and "password" not in page.forms[-1].names
    assert "You already have a password, and you keep it." in page.text
    assert other_tab.submit().headings == ["You have joined Globex"]
    assert console.sign_in(ann.email, NEW).status == 200


def test_a_browser_that_sends_no_origin_can_use_a_link(
    provider: Provider, console: Browser, whole: Whole
) -> None:
    ann = provider.customer("Acme").member("member", given="Ann", accept=False)
    link, sent = whole.link(ann.email), {"password": NEW}
    assert (
        console.send("POST", link, sent, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}).status
        == 403
    )
    assert console.send("POST", link, sent, {"Origin": "null", "Sec-Fetch-Site": ""}).status == 403
    assert console.send("POST", link, sent, {"Origin": "null"}).status == 200


def test_a_link_for_somebody_else_says_so(console: Browser, acme: Customer, whole: Whole) -> None:
    ann = acme.member("member", given="Ann", accept=False)
    link = whole.link(ann.email)
    page = console.get(link)
    assert (
        acme.provider.email in page.text
        and ann.email in page.text
        and "password" not in page.forms[-1].names
    )
    console.send("POST", link, {"password": NEW})
    assert acme.staff("GET", f"/members/{ann.id}")["status"] == "pending"
    console.get(link)
    page = console.submit(button="Sign out and continue")
    assert page.path == link and "password" in page.forms[-1].names
    assert console.submit({"password": NEW}).headings == ["You have joined Acme"]


def test_an_email_change_is_undone(
    console: Browser, acme: Customer, whole: Whole, browser: Callable[[], Browser]
) -> None:
    ann, hers = acme.member("member", given="Ann"), browser()
    console.post(members(console, acme, f"/{ann.id}/edit"), {"email": f"thief@{acme.word}.example"})
    match = re.search(r"https://app\.example(/undo/\S+)", whole.mail(ann.email))
    assert match
    assert hers.get(match[1]).headings == ["Undo the email change"]
    page = hers.submit()
    assert (
        page.headings == ["Email change undone"] and page.links["Reset your password"] == "/reset"
    )
    assert acme.staff("GET", f"/members/{ann.id}")["email"] == ann.email
    page = hers.get(match[1])
    assert page.status == 410 and "Ask the owner" in page.text


def test_invalid_links(console: Browser, whole: Whole) -> None:
    for at in ("/verify/nothing", "/undo/nothing", "/reset/nothing"):
        page = console.get(at)
        assert page.status == 404 and page.headings == ["This link is not valid"]


def test_a_password_is_reset(
    console: Browser, acme: Customer, whole: Whole, browser: Callable[[], Browser]
) -> None:
    ann, hers, other = acme.member("member", given="Ann"), browser(), browser()
    ann.sign_in(other)
    pages: list[Page] = [
        hers.post("/reset", {"email": email}) for email in (ann.email, "nobody@nowhere.example")
    ]
    assert pages[0].text == pages[1].text and pages[0].headings == ["Check your email"]
    link = whole.link(ann.email)
    assert link.startswith("/reset/")
    hers.get(link)
    assert "Password changed" in hers.submit({"password": NEW}).headings
    assert hers.page.links["Sign in"] == "/sign-in"
    assert other.get(other.at("/me/sessions")).path.startswith("/sign-in")
    page = hers.get(link)
    assert page.status == 410 and page.links["Reset your password"] == "/reset"
    assert (
        hers.sign_in(ann.email, PASSWORD).status == 401
        and hers.sign_in(ann.email, NEW).status == 200
    )
    page = console.post(members(console, acme, f"/{ann.id}/reset-password"))
    assert "expires in 30 minutes" in page.banners[0]
