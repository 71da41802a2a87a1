"""Attacks on users in a browser."""

import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Arrivals
from tests.browser.sites import ADMIN, PASSWORD, Site

ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
)

# All of them are names an organization may have.
NAMES = (
    "<script>document.title='in'</script>",
    "<img src=x onerror=document.title='in'>",
    '"><svg onload=alert(1)>',
    "' onfocus='document.title=1' autofocus='",
    "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}",
    "&lt;b&gt; &amp;",
    "=1+1 +2 -3 @4",
    "\\u003cscript\\u003e",
    "]]> --> </title></textarea></style>",
)


def test_the_cookie_is_restricted_to_this_host(arrive: Arrivals, embedded: Site) -> None:
    person = arrive(embedded)

    (cookie,) = (one for one in person.context.cookies() if one["name"] == "clientele")

    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert person.page.evaluate("document.cookie") == ""
    assert person.page.evaluate("Object.keys(localStorage)") == []
    assert set(person.page.evaluate("Object.keys(sessionStorage)")) <= {
        "htmx-current-path-for-history"
    }


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_redirects_only_to_our_own_pages(
    arrive: Arrivals, embedded: Site, target: str
) -> None:
    person = arrive(embedded, "")
    person.page.goto(f"{embedded.address}/sign-in?next={target}")

    person.sign_in(ADMIN, embedded.password)

    assert person.page.url.startswith(f"{embedded.address}/at/org_")


def test_no_page_runs_injected_script(arrive: Arrivals, embedded: Site) -> None:
    person = arrive(embedded, "")
    policy = person.go("/sign-in").header_value("content-security-policy") or ""

    assert "script-src 'self'" in policy and "unsafe" not in policy
    assert (
        person.page.evaluate("""() => {
        const s = document.createElement("script");
        s.textContent = "window.in = 1";
        document.body.append(s); return window.in ?? null }""")
        is None
    )
    assert person.troubles and all("Content Security Policy" in one for one in person.troubles)
    person.troubles.clear()


def test_names_are_shown_as_text(arrive: Arrivals, embedded: Site) -> None:
    person = arrive(embedded)
    for name in (f"{one} {secrets.token_hex(4)}" for one in NAMES):
        customer = embedded.open(name=name)
        person.go(person.at(f"/customers?q={customer.id}"))
        expect(person.page.locator("tr[data-row] th a")).to_have_text(name)
        for below in ("overview", "settings"):
            person.go(person.at(f"/c/{customer.id}/{below}"))
            expect(person.page.get_by_role("heading", level=1)).to_have_text(name)
            assert name in person.page.title()
            assert person.page.locator("bdi *, h1 script, h1 img, h1 svg").count() == 0
        expect(person.page.get_by_role("textbox", name="Organization name")).to_have_value(name)
    person.go(person.at("/home"))
    expect(person.page.get_by_role("heading", name="Home")).to_be_visible()


def test_another_customers_members_cannot_see_it(arrive: Arrivals, embedded: Site) -> None:
    mine, other = embedded.open(), embedded.open()
    embedded.join(mine.owner)
    person = arrive(embedded, mine.owner, PASSWORD)

    for below in ("overview", "payment", "members", "settings", "audit"):
        assert person.go(person.at(f"/c/{other.id}/{below}")).status in (403, 404), below
        expect(person.page.locator("body")).not_to_contain_text(other.name)
    person.go(f"/at/{other.id}/home")
    expect(person.page.locator("body")).not_to_contain_text(other.name)
    person.go(person.at(f"/customers?q={other.id}"))
    expect(person.page.get_by_role("heading", level=1)).to_have_text(mine.name)


def test_forms_of_other_sites_are_refused(arrive: Arrivals, embedded: Site) -> None:
    customer = embedded.open()
    person = arrive(embedded)
    target = f"{embedded.address}{person.at(f'/c/{customer.id}/settings/suspend')}"
    trap = f"<form method=post action={target}><input name=reason value=x><button>x</button>"
    person.page.route(
        "http://evil.example/", lambda route: route.fulfill(content_type="text/html", body=trap)
    )
    person.page.goto("http://evil.example/")
    person.page.get_by_role("button").click()
    person.page.wait_for_url(re.compile("/sign-in|/suspend"))

    assert customer.get()["status"] == "active"
    frame = person.page.request.get(f"{embedded.address}/sign-in").headers
    assert (
        "frame-ancestors 'none'" in frame["content-security-policy"]
        and frame["x-frame-options"] == "DENY"
    )
