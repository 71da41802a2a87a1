"""Pages go to the console, everything else to the gateway."""

import pytest
from devtools.ports import free_port

from tests.deploy.haproxy.conftest import Start
from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import send, send_raw
from tests.deploy.test_dispatcher import MISTYPED, NOT_PAGES, PAGES, SLASHED


@pytest.mark.parametrize("path", PAGES)
def test_pages_go_to_the_console(
    proxy: int, upstream: Upstream, console: Upstream, path: str
) -> None:
    assert send(proxy, "GET", f"{path}?q=/v1/me")[0] == 200
    assert [seen[1] for seen in console.seen] == [f"{path}?q=/v1/me"]
    assert upstream.seen == []


@pytest.mark.parametrize("path", [path for path in NOT_PAGES if "internal" not in path])
def test_everything_else_goes_to_the_gateway(
    proxy: int, upstream: Upstream, console: Upstream, path: str
) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    assert send_raw(proxy, request.encode()).startswith(b"HTTP/1.1 200 ")
    assert console.seen == []
    received = path.replace("//", "/")  # as Python's own server reads two slashes
    assert [seen[1] for seen in upstream.seen] == ([] if path == "/healthz" else [received])


@pytest.mark.parametrize("path", MISTYPED)
def test_a_browser_gets_a_page_for_a_mistyped_address(
    proxy: int, upstream: Upstream, console: Upstream, path: str
) -> None:
    status, headers, body = send(proxy, "GET", path, headers={"Accept": "text/html,*/*;q=0.8"})

    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"There is no page at this address" in body
    assert upstream.seen == console.seen == []


@pytest.mark.parametrize("path", SLASHED)
def test_a_browser_is_redirected_from_an_address_that_ends_with_a_slash(
    proxy: int, upstream: Upstream, console: Upstream, path: str
) -> None:
    status, headers, _ = send(proxy, "GET", path, headers={"Accept": "text/html,*/*;q=0.8"})

    assert (status, headers["location"]) == (308, SLASHED[path])
    assert upstream.seen == console.seen == []


def test_a_browser_may_open_the_api(proxy: int, upstream: Upstream) -> None:
    for path in ("/v1/unknown", "/.well-known/jwks.json"):
        send(proxy, "GET", path, headers={"Accept": "text/html"})
    assert [seen[1] for seen in upstream.seen] == ["/v1/unknown", "/.well-known/jwks.json"]


def test_the_console_gets_what_a_browser_sends_and_no_token(proxy: int, console: Upstream) -> None:
    browser = {
        "accept-encoding": "gzip",
        "cookie": "clientele=a",
        "origin": "http://localhost",
        "sec-fetch-site": "same-origin",
        "hx-request": "true",
        "x-csrf-token": "t",
        "x-dialog": "1",
        "referer": "http://localhost/at/x",
        "x-request-id": "req-1",
    }
    forged = {"Authorization": "Bearer x", "X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6"}
    send(proxy, "POST", "/at/org_1/home", b"a=1", {**browser, **forged})

    [(method, _, received, length)] = console.seen
    assert (method, length) == ("POST", 3)
    assert received.items() >= browser.items()
    assert received["x-forwarded-for"] == "127.0.0.1"
    assert not {"authorization", "x-real-ip"} & received.keys()


def test_cookies_and_policies_of_a_page_come_back(proxy: int, console: Upstream) -> None:
    policies = [
        ("set-cookie", "a=1; Path=/"),
        ("content-security-policy", "default-src 'none'"),
        ("x-frame-options", "DENY"),
        ("hx-redirect", "/at/z"),
        ("cross-origin-opener-policy", "same-origin"),
    ]
    console.headers = [*policies, ("X-Powered-By", "x")]

    _, headers, _ = send(proxy, "GET", "/sign-in")

    assert headers.items() >= dict(policies).items()
    assert headers["x-content-type-options"] == "nosniff"
    assert not {"server", "x-powered-by"} & headers.keys()


def test_an_address_may_open_a_limited_number_of_pages(start: Start, upstream: Upstream) -> None:
    proxy = start(upstream.server_port, CLIENT_PAGES="10")

    responses = [send(proxy, "GET", "/static/a.css") for _ in range(15)]

    assert [status for status, *_ in responses] == [200] * 10 + [429] * 5
    _, headers, body = responses[-1]
    assert headers["content-type"] == "text/html; charset=utf-8" and b"reload the page" in body
    assert headers["retry-after"] == "1" and headers["cache-control"] == "no-store"
    assert headers["x-request-id"].encode() in body
    assert send(proxy, "GET", "/v1/me")[0] == 200, "API requests do not count as pages"


@pytest.mark.parametrize("path", ["/sign-in", "/hang-up"])
def test_people_read_why_there_is_no_page(start: Start, upstream: Upstream, path: str) -> None:
    settings = {"CONSOLE_PORT": str(free_port())} if path == "/sign-in" else {}
    proxy = start(upstream.server_port, **settings)

    status, headers, body = send(proxy, "GET", path)

    assert (status, headers["retry-after"]) == (503, "1")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b"Temporarily unavailable" in body and headers["x-request-id"].encode() in body
    assert send(proxy, "GET", "/v1/me")[0] == 200
