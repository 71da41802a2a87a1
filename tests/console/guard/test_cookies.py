"""Cookies of the console: protected, replaced, ignored."""

from collections.abc import Callable

import pytest
from chassis.db.database import Database
from console.models import Browser as BrowserRow
from console.models import Draft, WorkspaceSession

from tests.console.browser import Browser
from tests.console.guard.rows import count_of, csrf_token
from tests.console.provider import PASSWORD, Provider

pytestmark = pytest.mark.both_databases


def test_the_cookie_is_protected_from_scripts_and_plain_http(
    by_https: Browser, provider: Provider
) -> None:
    page = by_https.sign_in(provider.email, PASSWORD, follow=False)
    cookie, browser = page.headers.getlist("Set-Cookie")
    flags = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}

    name, *given = cookie.split("; ")
    assert name.startswith("__Host-clientele=") and len(name.partition("=")[2]) == 43
    assert set(given) == flags
    name, *given = browser.split("; ")
    assert name.startswith("__Host-clientele-browser=") and len(name.partition("=")[2]) == 43
    assert flags | {"Max-Age=2592000"} <= set(given)
    assert by_https.follow().status == 200
    assert by_https.page.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_all_cookies_are_protected(by_https: Browser, provider: Provider) -> None:
    by_https.sign_in(provider.email, PASSWORD)
    by_https.get(by_https.at("/me/sessions"))
    ended = by_https.submit(action=by_https.at("/me/sessions/end-others"), follow=False)
    seen = [*ended.headers.getlist("Set-Cookie"), *by_https.follow().headers.getlist("Set-Cookie")]
    by_https.get(by_https.at("/me/sessions"))
    seen += by_https.send("POST", "/sign-out", {"csrf": csrf_token(by_https)}).headers.getlist(
        "Set-Cookie"
    )

    assert [cookie.partition("=")[0] for cookie in seen] == ["__Host-clientele-flash"] * 2 + [
        "__Host-clientele-signed-out",
        "__Host-clientele",
    ]
    assert all(
        {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        for cookie in seen
    )


def test_the_cookie_on_localhost(console: Browser, provider: Provider) -> None:
    page = console.sign_in(provider.email, PASSWORD, follow=False)
    cookie, browser = page.headers.getlist("Set-Cookie")

    assert browser.startswith("clientele-browser=") and "Secure" not in browser
    assert set(cookie.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert "Strict-Transport-Security" not in console.page.headers


def test_a_planted_cookie_is_replaced_at_sign_in(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    victim, thief = browser(), browser()
    for one in (victim, thief):
        one.client.set_cookie(
            "clientele", "planted-by-somebody-else-43-characters-long", domain="127.0.0.1"
        )

    provider.owner.sign_in(victim)

    assert victim.cookies["clientele"] != "planted-by-somebody-else-43-characters-long"
    assert thief.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")


def test_signing_in_again_invalidates_the_previous_cookie(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    victim, thief = browser(), browser()
    provider.owner.sign_in(victim)
    thief.client.set_cookie("clientele", victim.cookies["clientele"], domain="127.0.0.1")
    assert thief.get(f"/at/{provider.id}/customers").status == 200

    provider.owner.sign_in(victim)

    assert thief.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")
    assert count_of(store, BrowserRow) == 1, "rows do not pile up"
    victim.get(f"/at/{provider.id}/customers")
    victim.sign_out()
    assert [count_of(store, table) for table in (BrowserRow, WorkspaceSession, Draft)] == [0, 0, 0]


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        "a" * 6000,
        "\u00c3\u00bc",
        "%00",
        "'; DROP TABLE browsers",
        '"',
        "\xff\xfe",
        "\xed\xa0\x80",
        "x; clientele=y; clientele",
        "=",
        "\x01",
    ],
)
def test_a_malformed_cookie_is_ignored(console: Browser, cookie: str) -> None:
    odd = {"Cookie": f"clientele={cookie}; clientele-flash={cookie}"}

    page = console.send("GET", "/at/org_x/customers", headers=odd)

    assert (page.status, page.location.partition("?")[0]) == (303, "/sign-in")
