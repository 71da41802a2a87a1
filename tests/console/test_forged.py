"""Forged forms and malformed requests: refused with a readable page that reveals nothing."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from chassis.db.database import Database
from console.values.sealing import seal

from tests.console.browser import Browser
from tests.console.provider import PASSWORD, Customer, Provider
from tests.console.system import Whole

EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
# origin of a forged form -> the headers that state it
FORGED: dict[str, dict[str, str]] = {
    "another site": EVIL,
    "another site, by its origin alone": {"Origin": "https://evil.example", "Sec-Fetch-Site": ""},
    "another site, by what the browser saw alone": {"Origin": "", "Sec-Fetch-Site": "cross-site"},
    "a sibling's site": {"Origin": "http://x.127.0.0.1:8080", "Sec-Fetch-Site": "same-site"},
    "the same host, another port": {
        "Origin": "http://127.0.0.1:9999",
        "Sec-Fetch-Site": "same-site",
    },
    "nowhere": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "nowhere, in an old browser": {"Origin": "null", "Sec-Fetch-Site": ""},
    "a host that begins like ours": {
        "Origin": "http://127.0.0.1:8080.evil.example",
        "Sec-Fetch-Site": "",
    },
    "a host with ours as its user": {
        "Origin": "http://127.0.0.1:8080@evil.example",
        "Sec-Fetch-Site": "",
    },
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "manifest-src 'self'",
}


@pytest.fixture
def acme(provider: Provider, console: Browser) -> Customer:
    """A customer, with the provider's owner signed in and on the page that suspends it."""
    made = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    console.get(_suspend(made))
    return made


@pytest.mark.parametrize("where", FORGED)
def test_a_form_from_another_site_is_refused(where: str, console: Browser, acme: Customer) -> None:
    fields = console.page.forms[-1].fields | {"reason": "forged"}

    page = console.send("POST", _suspend(acme), fields, FORGED[where])

    assert (page.status, page.headings[-1]) == (403, "The form could not be verified")
    assert acme.now["status"] == "active"
    assert (
        console.send("POST", "/sign-in", {"email": "x", "password": "y"}, FORGED[where]).status
        == 403
    )
    assert console.send("POST", "/sign-out", {"csrf": fields["csrf"]}, FORGED[where]).status == 403


def test_a_form_without_the_token_of_this_browser_does_nothing(
    browser: Callable[[], Browser], console: Browser, acme: Customer, provider: Provider
) -> None:
    fields, other = console.page.forms[-1].fields, browser()
    provider.owner.sign_in(other)
    token = fields["csrf"]
    for forged in (
        "",
        "x",
        token[:-4],
        token[4:],
        "A" * len(token),
        other.get(_suspend(acme)).forms[-1].fields["csrf"],
        "\u00fc",
        token.swapcase(),
    ):
        page = console.send("POST", _suspend(acme), {**fields, "csrf": forged, "reason": "forged"})
        assert page.status == 303 and "?draft=" in page.location, (
            "it is kept to be looked at, and not done"
        )

    page = console.send(
        "POST",
        _suspend(acme),
        {"csrf": "", "reason": "forged"},
        {"Sec-Fetch-Site": "", "Origin": ""},
    )
    assert page.status == 403
    assert acme.now["status"] == "active"
    assert (
        console.send("POST", "/sign-out", {}).status == 403
        and console.get(_suspend(acme)).status == 200
    )


def test_the_token_differs_per_page_and_may_come_as_a_header(
    console: Browser, acme: Customer
) -> None:
    tokens = {console.get(_suspend(acme)).forms[-1].fields["csrf"] for _ in range(3)}

    assert len(tokens) == 3
    console.send("POST", _suspend(acme), {"reason": "unpaid"}, {"X-CSRF-Token": tokens.pop()})
    assert acme.now["status"] == "suspended"


def test_get_requests_change_nothing(console: Browser, acme: Customer) -> None:
    for method in ("GET", "HEAD"):
        console.send(method, f"{_suspend(acme)}?reason=forged&csrf=x", headers=EVIL)
    for path in ("/sign-out", console.at("/me/sessions/end-others"), console.at("/acting/stop")):
        assert console.send("GET", path).status in (404, 405), path

    assert acme.now["status"] == "active" and console.get(_suspend(acme)).status == 200


# --- headers of every response


def test_every_response_has_security_headers(console: Browser, acme: Customer) -> None:
    paths = [
        _suspend(acme),
        "/sign-in",
        "/no-such-page",
        "/help",
        "/reset",
        "/verify/x",
        console.at("/customers"),
        f"/at/org_x/c/{acme.id}/overview",
        console.at(f"/c/{acme.id}/audit.csv"),
        "/signed-out",
    ]
    for path in paths:
        headers = console.send("GET", path).headers
        assert set(headers["Content-Security-Policy"].split("; ")) == POLICY, path
        assert (
            headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
        ), path
        assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), path
        assert (
            headers["Cross-Origin-Opener-Policy"] == "same-origin"
            and headers["Cache-Control"] == "no-store"
        ), path
        assert "Server" not in headers and headers["X-Request-Id"], path


def test_only_hashed_assets_are_cached(console: Browser) -> None:
    sheet = console.get("/sign-in").top.find("link", rel="stylesheet")[0].attrs["href"]

    assert (
        console.send("GET", sheet).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    )
    assert console.page.headers["Content-Type"] == "text/css; charset=utf-8"
    for path in (
        "/static/console.css",
        "/static/x/console.css",
        f"{sheet}x",
        "/static/../config.py",
        "/static/..%2fx",
    ):
        assert console.send("GET", path).status == 404, path


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("HEAD", "/sign-in", 200, None),
        ("OPTIONS", "/sign-in", 200, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", "/sign-in", 405, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/", 405, {"GET", "HEAD", "OPTIONS"}),
        ("TRACE", "/sign-in", 405, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", "/sign-out", 405, {"POST", "OPTIONS"}),
        ("POST", "/", 405, {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/sign-in", 405, {"GET", "HEAD", "OPTIONS", "POST"}),
    ],
)
def test_methods(
    console: Browser, method: str, path: str, status: int, allowed: set[str] | None
) -> None:
    page = console.send(method, path)

    assert page.status == status
    assert allowed is None or set(page.headers["Allow"].split(", ")) == allowed
    assert method != "HEAD" or page.response.data == b""


# --- odd requests


@pytest.mark.parametrize(
    "path",
    [
        "/at",
        "/at/org_x",
        "/at//customers",
        "/at/../sign-in",
        "/at/%2e%2e/sign-in",
        "/" + "x" * 1900,
        "/\u00fc",
        "/%00",
        "/at/x/c/y",
        "/at/org_x/c/org_y/members/mem_z'--/edit",
        "/static/" + "../" * 9 + "etc/passwd",
        "/.env",
        "/a;b",
    ],
)
def test_malformed_addresses_are_not_found(console: Browser, path: str) -> None:
    assert console.send("GET", path, headers={"Accept": "text/html"}).status in (303, 404)
    assert "Traceback" not in console.page.html


def test_malformed_forms_are_refused(console: Browser, acme: Customer) -> None:
    fields = console.page.forms[-1].fields
    assert console.send("POST", _suspend(acme), {**fields, "reason": "x" * 70_000}).status == 413
    for body, kind in (
        (b"\xff\xfe=\x00", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"a" * 9000, "multipart/form-data"),
        (b"&".join(b"a%d=1" % n for n in range(3000)), "application/x-www-form-urlencoded"),
    ):
        response = console.client.post(
            _suspend(acme), data=body, content_type=kind, base_url=console.origin
        )
        assert response.status_code in (303, 400, 403, 413, 415, 422), (kind, response.status_code)
    assert acme.now["status"] == "active"


def test_input_cannot_inject_headers(console: Browser, acme: Customer) -> None:
    lines = "x\r\nSet-Cookie: evil=1\r\n\r\n<script>alert(1)</script>"
    for path, fields in (
        (_suspend(acme), {"reason": lines}),
        ("/sign-in", {"next": f"/{lines}", "email": lines}),
    ):
        page = console.send(
            "POST", path, {**console.get(_suspend(acme)).forms[-1].fields, **fields}
        )
        assert "evil" not in str(page.headers) and "<script>alert" not in page.html


def test_flash_messages_cannot_be_forged(console: Browser, acme: Customer) -> None:
    cookie, words = console.cookies["clientele"], "Send your password to evil.example"
    for forged in (
        "x",
        "a.b.c.d.e",
        "<script>",
        "\u00c3\u00a9",
        "\xff",
        "e" * 4000,
        words.replace(" ", "_"),
        seal("another's", words),
        seal(cookie, words)[:-3],
    ):
        own = {"Cookie": f"clientele={cookie}; clientele-flash={forged}"}
        page = console.send("GET", _suspend(acme), headers=own)
        assert (page.status, page.banners) == (200, []) and "evil" not in page.text, forged
        assert "clientele-flash=;" in str(page.headers), f"{forged} is deleted"


# --- when something is broken


def test_an_unavailable_database_shows_an_error_page(
    console: Browser, acme: Customer, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Database("postgresql+psycopg://x:secret-of-ours@127.0.0.1:9/x", pool_size=1)
    monkeypatch.setitem(whole.console.extensions, "database", gone)

    for path in (_suspend(acme), "/sign-in", "/"):
        page = console.send("GET", path)
        assert (page.status, page.headings) == (503, ["The service is temporarily unavailable"]), (
            path
        )
        assert page.headers["Retry-After"] == "1" and "secret-of-ours" not in page.html
    assert console.send("POST", "/sign-in", {"email": "a", "password": "b"}).status == 503


def test_an_unavailable_api_shows_an_error_page(
    console: Browser, acme: Customer, unavailable: Callable[[], None]
) -> None:
    unavailable()

    for path in (_suspend(acme), console.at("/customers")):
        page = console.send("GET", path)
        assert page.status == 503 and "Try again" in page.text, path


def test_the_page_of_a_crash_reveals_no_details(
    console: Browser, acme: Customer, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(whole.console.extensions, "gateway", object())

    page = console.send("GET", _suspend(acme))

    assert (page.status, page.headings[-1]) == (500, "Something went wrong on our side")
    assert "object" not in page.text and page.headers["X-Request-Id"] in page.text


def test_nothing_secret_is_logged(
    browser: Callable[[], Browser],
    provider: Provider,
    whole: Whole,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, invited = browser(), browser()
    acme = provider.customer("Acme", accept=False)
    link = whole.link(acme.email)
    with caplog.at_level("DEBUG"):
        console.sign_in(provider.email, "canary-wrong-password")
        provider.owner.sign_in(console)
        cookie = console.cookies["clientele"]
        console.get(f"{_suspend(acme)}?q=canary-query")
        token = console.page.forms[-1].fields["csrf"]
        names = [name for name in invited.get(link).forms[-1].names if "password" in name]
        page = invited.submit(dict.fromkeys(names, "canary password of otters"))
        assert page.status == 200 and names, page.text
        console.submit({"reason": "canary-reason"})
        monkeypatch.setitem(whole.console.extensions, "gateway", object())
        proof = {"reason": "canary-crash", "proof_password": "canary-proof"}
        assert console.send("POST", _suspend(acme), {"csrf": token, **proof}).status == 500
    logged = "\n".join(
        f"{record.getMessage()} {record.exc_text} {record.exc_info}" for record in caplog.records
    )

    assert "crashed" in logged and "'route': '/at/<" in logged
    for secret in ("canary", cookie, token, PASSWORD, link.rpartition("/")[2]):
        assert secret not in logged
    assert not re.search(r"eyJ[\w-]+\.", logged), "a token"


def _suspend(acme: Any) -> str:
    return f"/at/{acme.provider.id}/c/{acme.id}/settings/suspend"
