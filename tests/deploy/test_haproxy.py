"""The proxy: HAProxy as a private process in front of servers that record what reaches them."""

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from devtools.ports import free_port
from devtools.servers import installation

from tests.deploy.test_dispatcher import MISTYPED, NOT_PAGES, PAGES
from tests.waiting import until

CONFIG = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"
KIB = 1024


class Upstream(ThreadingHTTPServer):
    """Stands for the gateway or the console. Remembers every request but the health checks."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__((address, port), Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: list[tuple[str, str, dict[str, str], int]] = []
        self.hold = threading.Event()
        self.headers: list[tuple[str, str]] = []
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """The proxy may close the connection."""

    def stop(self) -> None:
        self.hold.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        body = self._body()
        if self.path != "/healthz":
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.seen.append((self.command, self.path, headers, len(body)))
        if self.path in ("/v1/hold", "/hold"):
            self.server.hold.wait(20)
        if self.path in ("/v1/hang-up", "/hang-up"):
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        pass


Start = Callable[..., int]


@pytest.fixture(scope="session")
def haproxy() -> str:
    return str(installation.haproxy())


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def console() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def start(haproxy: str, console: Upstream) -> Iterator[Start]:
    """Starts a proxy with these settings; returns its port once it forwards requests."""
    running = []

    def run(
        gateway_port: int,
        wait_for: int = 200,
        context: ssl.SSLContext | None = None,
        **settings: str,
    ) -> int:
        port = free_port()
        environment = {
            **os.environ,
            "BIND": f"127.0.0.1:{port}",
            "GATEWAY_PORT": str(gateway_port),
            "CLIENT_CONNECTIONS": "5000",
            "CLIENT_REQUESTS": "100000",
            "CLIENT_PAGES": "100000",
            "CONSOLE_PORT": str(console.server_port),
            **settings,
        }
        running.append(
            subprocess.Popen(
                [haproxy, "-db", "-f", CONFIG], env=environment, stdout=subprocess.DEVNULL
            )
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if send(port, "GET", "/healthz", context=context)[0] == wait_for:
                    return port
            time.sleep(0.05)
        pytest.fail("the proxy does not open")

    yield run
    for process in running:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def running_proxy(start: Start, upstream: Upstream) -> int:
    return start(upstream.server_port)


@pytest.fixture
def proxy(running_proxy: int, upstream: Upstream, console: Upstream) -> int:
    upstream.seen.clear()
    console.seen.clear()
    console.headers = []
    return running_proxy


def send(
    port: int,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    chunked: bool = False,
    context: ssl.SSLContext | None = None,
) -> tuple[int, dict[str, str], bytes]:
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    try:
        connection.request(method, path, body=body, headers=headers or {}, encode_chunked=chunked)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read(),
        )
    finally:
        connection.close()


def send_raw(port: int, raw: bytes) -> bytes:
    """Send exactly these bytes; returns what comes back until the proxy closes or pauses for a
    second."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as line:
        line.sendall(raw)
        response = b""
        with contextlib.suppress(OSError):
            while part := line.recv(65536):
                response += part
                line.settimeout(1)
        return response


def assert_problem(
    answer: tuple[int, dict[str, str], bytes], status: int, code: str
) -> dict[str, str]:
    given, headers, body = answer
    problem = json.loads(body)
    assert given == status
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] and headers["cache-control"] == "no-store"
    assert problem.keys() == {"type", "title", "status", "detail", "instance", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["instance"].endswith(f"#{headers['x-request-id']}")
    return headers


def test_the_configuration_is_valid_and_without_warnings(haproxy: str) -> None:
    lists = {"TRUSTED_PROXIES": "10.0.0.0/8 192.0.2.1", "PROXY_PROTOCOL_FROM": "10.1.0.0/16 ::1"}
    gateways = {"BIND": ":8080", "GATEWAY_HOST": "gateway", "GATEWAY_SLOTS": "8"}
    for settings in ({}, gateways, lists, {"BIND_OPTIONS": "", "TRUSTED_PROXIES": ""}):
        check = subprocess.run(
            [haproxy, "-c", "-f", CONFIG],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert check.returncode == 0, check.stderr
        assert "WARNING" not in check.stderr


def test_an_ordinary_request_passes(proxy: int, upstream: Upstream) -> None:
    status, _, body = send(
        proxy, "POST", "/v1/organizations?q=1", b"{}", {"X-Request-Id": "mine-1"}
    )
    assert (status, body) == (200, b"ok")
    method, path, headers, length = upstream.seen[0]
    assert (method, path, length) == ("POST", "/v1/organizations?q=1", 2)
    assert headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<script>"])
def test_an_invalid_request_id_is_replaced(proxy: int, upstream: Upstream, given: str) -> None:
    _, headers, _ = send(proxy, "GET", "/v1/me", headers={"X-Request-Id": given})
    assert headers["x-request-id"] == upstream.seen[0][2]["x-request-id"] != given


def test_forwarding_headers_from_outside_are_dropped(proxy: int, upstream: Upstream) -> None:
    lies = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Proto": "https",
        "x-forwarded-user": "root",
        "Forwarded": "for=10.0.0.1",
        "X-Real-IP": "10.0.0.1",
    }
    send(proxy, "GET", "/v1/me", headers=lies)
    headers = upstream.seen[0][2]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert not {"x-forwarded-proto", "x-forwarded-user", "forwarded", "x-real-ip"} & headers.keys()


@pytest.mark.parametrize(
    "path",
    [
        "/internal/openapi.json",
        "/internal",
        "//internal/x",
        "/./internal/x",
        "/v1/../internal/x",
        "/%69nternal/x",
        "/INTERNAL/x",
        "/v1/%2e%2e/internal/x",
        "/v1/..%2finternal%2fx",
    ],
)
def test_internal_paths_are_not_routed(proxy: int, upstream: Upstream, path: str) -> None:
    answer = send_raw(
        proxy, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert upstream.seen == []


def test_bodies_up_to_64_kib(proxy: int, upstream: Upstream) -> None:
    assert send(proxy, "POST", "/v1/organizations", b"x" * 64 * KIB)[0] == 200
    assert_problem(
        send(proxy, "POST", "/v1/organizations", b"x" * (64 * KIB + 1)), 413, "too_large"
    )
    parts = [b"x" * KIB] * 64
    assert (
        send(
            proxy, "POST", "/v1/organizations", iter(parts), {"Transfer-Encoding": "chunked"}, True
        )[0]
        == 200
    )
    too_many = send(
        proxy,
        "POST",
        "/v1/organizations",
        iter([*parts, b"x"]),
        {"Transfer-Encoding": "chunked"},
        True,
    )
    assert_problem(too_many, 413, "too_large")
    assert [length for *_, length in upstream.seen] == [64 * KIB, 64 * KIB]


def test_a_body_that_does_not_arrive_is_a_problem(proxy: int) -> None:
    assert_problem(
        send(proxy, "POST", "/v1/x", b"x", {"Content-Length": "2"}), 408, "request_timeout"
    )


def test_usage_up_to_4_mib(proxy: int, upstream: Upstream) -> None:
    assert send(proxy, "POST", "/v1/usage", b"x" * 4096 * KIB)[0] == 200
    assert upstream.seen[0][3] == 4096 * KIB
    announced = (
        f"POST /v1/usage HTTP/1.1\r\nHost: x\r\nContent-Length: {4096 * KIB + 1}\r\n\r\n".encode()
    )
    assert send_raw(proxy, announced + b"x" * 200 * KIB).startswith(b"HTTP/1.1 413 ")
    chunked = send(proxy, "POST", "/v1/usage", iter([b"x"]), {"Transfer-Encoding": "chunked"}, True)
    assert_problem(chunked, 411, "length_required")
    assert send(proxy, "POST", "/v1/usage/more", b"x" * 65 * KIB)[0] == 413
    assert len(upstream.seen) == 1


def test_heads_have_a_size_limit(proxy: int, upstream: Upstream) -> None:
    assert send(proxy, "GET", "/v1/me", headers={"Cookie": "x" * 4000})[0] == 200
    assert_problem(
        send(proxy, "GET", "/v1/me", headers={"Cookie": "x" * 20_000}), 431, "headers_too_large"
    )
    assert_problem(send(proxy, "GET", "/v1/me?q=" + "x" * 4000), 414, "uri_too_long")
    assert send(proxy, "GET", "/v1/me", headers={"Cookie": "x" * 140_000})[0] == 400
    assert send(proxy, "GET", "/v1/me", headers={f"X-{n}": "x" for n in range(101)})[0] in (
        400,
        431,
    )
    assert len(upstream.seen) == 1


AMBIGUOUS = {
    "two lengths": (
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
    ),
    "signed length": b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
    "hex length": b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na",
    "unknown coding": (
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
    ),
    "space before colon": (
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
    ),
    "no host": b"GET /v1/x HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "absolute form": b"GET http://x/v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute form, other host": b"GET http://y/v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "connect": b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n",
    "trace": b"TRACE /v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "version 0.9": b"GET /v1/x\r\n\r\n",
    "http/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nul in a header": b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "huge chunk size": (
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"
    ),
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_requests_are_refused(proxy: int, upstream: Upstream, raw: bytes) -> None:
    answer = send_raw(proxy, raw)
    assert answer == b"" or answer.split(b" ", 2)[1][:1] == b"4", answer
    assert upstream.seen == []


def test_of_two_kinds_of_length_one_remains(proxy: int, upstream: Upstream) -> None:
    """Proxy and gateway see the same end of the request, and nothing more is read from that
    connection."""
    lengths = [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
    for first, second in (lengths, reversed(lengths)):
        upstream.seen.clear()
        answer = send_raw(
            proxy,
            b"POST /v1/x HTTP/1.1\r\nHost: x\r\n"
            + first
            + second
            + b"\r\n0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        assert b"\r\nconnection: close\r\n" in answer and answer.count(b"HTTP/1.1 ") == 1
        [(_, path, headers, length)] = upstream.seen
        assert (path, length, headers["transfer-encoding"]) == ("/v1/x", 0, "chunked")
        assert "content-length" not in headers


def test_no_gateway_is_503(start: Start) -> None:
    headers = assert_problem(
        send(start(free_port(), wait_for=503), "GET", "/v1/me"), 503, "service_unavailable"
    )
    assert headers["retry-after"] == "1"


def test_a_lost_response_is_503_too(proxy: int) -> None:
    headers = assert_problem(send(proxy, "POST", "/v1/hang-up", b"{}"), 503, "service_unavailable")
    assert headers["retry-after"] == "1"


def test_requests_beyond_capacity_are_refused_after_three_seconds(start: Start) -> None:
    assert "    timeout queue 3s\n" in CONFIG.read_text()
    upstream = Upstream()
    proxy = start(upstream.server_port, GATEWAY_MAXCONN="2")
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(send, proxy, "GET", "/v1/hold") for _ in range(2)]
        until(lambda: len(upstream.seen) == 2)
        answer = send(proxy, "GET", "/v1/me")
        assert_problem(answer, 503, "service_unavailable")
        upstream.hold.set()
        assert [each.result()[0] for each in held] == [200, 200]
    upstream.stop()


def test_slow_clients_do_not_affect_others(proxy: int, upstream: Upstream) -> None:
    """Half-sent heads and bodies, many more than the gateway has threads: other clients are served,
    the slow ones are cut off."""
    head = b"POST /v1/x HTTP/1.1\r\nHost: x\r\nX-Slow: "
    body = b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"x" * 20_000
    big = b"POST /v1/usage HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 20_000
    with contextlib.ExitStack() as stack:
        lines = []
        for raw in (head, body, big) * 100:
            line = stack.enter_context(socket.create_connection(("127.0.0.1", proxy), timeout=60))
            line.sendall(raw)
            lines.append(line)
        assert send(proxy, "GET", "/v1/me")[0] == 200
        for line in lines:
            assert line.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert [path for _, path, *_ in upstream.seen] == ["/v1/me"]


def test_a_trickling_body_is_cut_off(proxy: int) -> None:
    with socket.create_connection(("127.0.0.1", proxy), timeout=60) as line:
        line.sendall(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        answer = b""
        for _ in range(60):
            with contextlib.suppress(TimeoutError):
                line.sendall(b"x")
                line.settimeout(1)
                answer = line.recv(64)
                break
        assert answer.startswith(b"HTTP/1.1 408 ")


# ---- pages


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


def test_slow_pages_leave_the_api_alone(start: Start, upstream: Upstream) -> None:
    slow = Upstream()
    proxy = start(upstream.server_port, CONSOLE_PORT=str(slow.server_port), CONSOLE_MAXCONN="2")
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(send, proxy, "GET", "/hold") for _ in range(2)]
        assert eventually(lambda: len(slow.seen) == 2)
        waiting = pool.submit(send, proxy, "GET", "/home")
        assert send(proxy, "GET", "/v1/me")[0] == 200
        assert waiting.result()[0] == 503, "as many as the console has threads, and no more"
        slow.hold.set()
        assert [each.result()[0] for each in held] == [200, 200]
        assert send(proxy, "GET", "/home")[0] == 200
    slow.stop()


def test_an_address_has_a_rate_limit(start: Start, upstream: Upstream) -> None:
    proxy = start(upstream.server_port, CLIENT_REQUESTS="20")
    answers = [send(proxy, "GET", "/v1/me") for _ in range(30)]
    assert answers[0][0] == 200
    headers = assert_problem(answers[-1], 429, "too_many_requests")
    assert headers["retry-after"] == "1"


def test_an_address_has_a_connection_limit(start: Start, upstream: Upstream) -> None:
    proxy = start(upstream.server_port, CLIENT_CONNECTIONS="5")
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            with contextlib.suppress(ConnectionError):
                stack.enter_context(socket.create_connection(("127.0.0.1", proxy), timeout=5))
        assert eventually(lambda: not is_served(proxy))
    assert eventually(lambda: is_served(proxy))


def is_served(proxy: int) -> bool:
    try:
        return send(proxy, "GET", "/v1/me")[0] == 200
    except (http.client.HTTPException, OSError):
        return False


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def client_of(upstream: Upstream) -> str:
    """Whom the last request is said to come from."""
    return upstream.seen[-1][2]["x-forwarded-for"]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 192.0.2.1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 192.0.2.1,192.0.2.9", "203.0.113.7"),
        ("2001:db8:1::7", "2001:db8:1::7"),
        ("6.6.6.6, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(
    behind_a_proxy: int, upstream: Upstream, forwarded: str, client: str
) -> None:
    headers = {"X-Forwarded-For": forwarded, "Forwarded": "for=6.6.6.6"}

    send(behind_a_proxy, "GET", "/v1/me", headers={k: v for k, v in headers.items() if v})

    assert client_of(upstream) == client and "forwarded" not in upstream.seen[-1][2]


@pytest.fixture(scope="module")
def behind_a_proxy(start: Start, upstream: Upstream) -> int:
    """A proxy behind a trusted one that allows five connections of a client."""
    return start(
        upstream.server_port,
        TRUSTED_PROXIES="127.0.0.0/8 192.0.2.0/24",
        CLIENT_CONNECTIONS="5",
        CLIENT_REQUESTS="50",
    )


def test_requests_behind_a_trusted_proxy_are_counted_by_client(
    behind_a_proxy: int, upstream: Upstream
) -> None:
    """On one connection, as a proxy keeps them."""
    line = http.client.HTTPConnection("127.0.0.1", behind_a_proxy, timeout=30)

    def ask(client: str) -> int:
        line.request("GET", "/v1/me", headers={"X-Forwarded-For": client})
        response = line.getresponse()
        response.read()
        return response.status

    statuses = [ask(f"2001:db8:0:5::{n:x}") for n in range(60)]
    assert statuses[:50] == [200] * 50 and statuses[-1] == 429
    assert (ask("2001:db8:0:6::1"), client_of(upstream)) == (200, "2001:db8:0:6::1")
    line.close()


def test_a_trusted_proxy_may_have_the_connections_of_all_its_clients(behind_a_proxy: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(socket.create_connection(("127.0.0.1", behind_a_proxy), timeout=5))
        assert is_served(behind_a_proxy)


def test_the_proxy_protocol_says_who_the_client_is(start: Start, upstream: Upstream) -> None:
    proxy = start(upstream.server_port, PROXY_PROTOCOL_FROM="127.0.0.2", CLIENT_CONNECTIONS="5")

    with contextlib.ExitStack() as stack:

        def is_served_to(client: str, source: str = "127.0.0.2") -> bool:
            line = socket.create_connection(("127.0.0.1", proxy), 30, source_address=(source, 0))
            stack.enter_context(line)
            head = f"PROXY TCP4 {client} 192.0.2.1 40000 443\r\n" if client else ""
            try:
                line.sendall(f"{head}GET /v1/me HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                return line.recv(12) == b"HTTP/1.1 200"
            except ConnectionError:
                return False

        assert all(is_served_to("203.0.113.7") for _ in range(5))
        assert client_of(upstream) == "203.0.113.7"
        assert not is_served_to("203.0.113.7"), "one connection too many"
        assert is_served_to("203.0.113.8")
        assert not is_served_to(""), "it must say for whom"
        assert not is_served_to("6.6.6.6", source="127.0.0.3"), "others must not"


def test_tls_ends_here_with_the_certificate_of_the_secrets(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, CONFIG.parents[1] / "secrets.py", tmp_path / "secrets"],
        check=True,
        capture_output=True,
    )
    certificate = tmp_path / "secrets/tls_certificate"
    trusting = ssl.create_default_context(cafile=certificate)
    proxy = start(
        upstream.server_port,
        BIND_OPTIONS=f"ssl crt {certificate} alpn http/1.1",
        context=trusting,
    )

    assert send(proxy, "GET", "/v1/me", context=trusting)[0] == 200
    assert client_of(upstream) == "127.0.0.1"
    with pytest.raises(http.client.HTTPException):
        send(proxy, "GET", "/v1/me")


def test_a_gateway_with_tls_must_prove_its_name(start: Start, tmp_path: Path) -> None:
    for words in (("",), ("tls",)):
        command = [sys.executable, CONFIG.parents[1] / "secrets.py", *filter(None, words)]
        subprocess.run([*command, tmp_path / "secrets"], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "secrets/gateway_tls")
    gateway = Upstream(context=context)
    options = f"ssl verify required ca-file {tmp_path}/secrets/tls_authorities verifyhost"

    proxy = start(gateway.server_port, GATEWAY_OPTIONS=f"{options} gateway")
    assert send(proxy, "GET", "/v1/me")[0] == 200
    start(gateway.server_port, wait_for=503, GATEWAY_OPTIONS=f"{options} another")
    gateway.stop()


def test_a_name_may_resolve_to_several_gateways(start: Start) -> None:
    """As with a platform's name server, which knows the current instances."""
    first = Upstream()
    second = Upstream("127.0.0.2", first.server_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        threading.Thread(
            target=answer_names, args=(names, ["127.0.0.1", "127.0.0.2"]), daemon=True
        ).start()
        dns = f"127.0.0.1:{names.getsockname()[1]}"
        proxy = start(first.server_port, GATEWAY_HOST="gateway", GATEWAY_SLOTS="4", GATEWAY_DNS=dns)
        assert eventually(lambda: is_served(proxy) and bool(first.seen) and bool(second.seen))
    first.stop()
    second.stop()


def test_each_tenants_downloads_and_uploads_go_to_one_gateway(start: Start) -> None:
    """A gateway counts in memory, so its limits hold for a tenant only if all its requests of a
    kind meet there."""
    first = Upstream()
    second = Upstream("127.0.0.2", first.server_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        threading.Thread(
            target=answer_names, args=(names, ["127.0.0.1", "127.0.0.2"]), daemon=True
        ).start()
        dns = f"127.0.0.1:{names.getsockname()[1]}"
        proxy = start(first.server_port, GATEWAY_HOST="gateway", GATEWAY_SLOTS="4", GATEWAY_DNS=dns)
        assert eventually(lambda: is_served(proxy) and bool(first.seen) and bool(second.seen))
        first.seen.clear()
        second.seen.clear()
        for tenant in range(12):
            for session in range(3):
                token = {"Authorization": f"Bearer {unsigned(f'org_{tenant}', session)}"}
                paths = (f"/v1/x.pdf?t={tenant}", f"/v1/usage?t={tenant}")
                assert [send(proxy, "GET", path, headers=token)[0] for path in paths] == [200, 200]
    tenants = [{path for _, path, *_ in gateway.seen} for gateway in (first, second)]
    assert not tenants[0] & tenants[1]
    assert all(tenants), "the tenants are spread"
    first.stop()
    second.stop()


def unsigned(organization: str, session: int) -> str:
    """An access token as the proxy reads it, without verifying it."""
    parts = ({"alg": "Ed25519"}, {"org": organization, "sid": f"ses_{session}"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b"c2lnbmF0dXJl"]).decode()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/organizations/x/audit", {"Accept": "text/csv"}),
        ("/v1/organizations/x/invoices/y.pdf", {}),
        ("/c/x/audit.csv", {}),
        ("/v1/usage", {}),
    ],
    ids=["csv", "pdf", "page", "upload"],
)
def test_files_take_no_place_of_ordinary_requests_and_the_reverse(
    start: Start, upstream: Upstream, path: str, headers: dict[str, str]
) -> None:
    slow = Upstream()
    proxy = start(
        slow.server_port,
        GATEWAY_MAXCONN="1",
        CONSOLE_PORT=str(slow.server_port),
        CONSOLE_MAXCONN="1",
    )
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(send, proxy, "GET", place) for place in ("/v1/hold", "/hold")]
        until(lambda: len(slow.seen) == 2)
        assert send(proxy, "GET", path, headers=headers)[0] == 200
        slow.hold.set()
        assert [each.result()[0] for each in held] == [200, 200]
    slow.stop()


def answer_names(line: socket.socket, addresses: list[str]) -> None:
    """A name server that knows these addresses by any name, and no other kind of record."""
    with contextlib.suppress(OSError):
        while True:
            query, client = line.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            answers = addresses if query[end - 4 : end - 2] == b"\0\1" else []
            records = [
                b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) for address in answers
            ]
            head = query[:2] + b"\x81\x80\0\1" + len(answers).to_bytes(2, "big") + b"\0\0\0\0"
            line.sendto(head + query[12:end] + b"".join(records), client)


def test_the_log_contains_no_secrets(haproxy: str, upstream: Upstream) -> None:
    """One JSON line for each request, without the secrets of mailed links."""
    port = free_port()
    environment = {
        **os.environ,
        "BIND": f"127.0.0.1:{port}",
        "GATEWAY_PORT": str(upstream.server_port),
    }
    command = [haproxy, "-db", "-f", str(CONFIG)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert eventually(lambda: is_served(port))
        send(port, "GET", '/v1/"?token=canary', headers={"Authorization": "Bearer canary"})
        for path in ("/v1/verifications/", "/v1/password-resets/", "/verify/", "/undo/", "/reset/"):
            send(port, "POST", f"{path}canary")
        assert process.stdout
        lines = []
        while len([line for line in lines if line["method"] == "POST"]) < 5:
            text = process.stdout.readline()
            assert text, "it has ended"
            if text.startswith("{"):
                lines.append(json.loads(text))
        process.terminate()
        lines += [json.loads(line) for line in process.stdout if line.startswith("{")]
    assert "canary" not in str(lines)
    [logged] = [line for line in lines if line["path"] == '/v1/"']
    assert (logged["method"], logged["status"]) == ("GET", 200)
    assert len([line for line in lines if line["method"] == "POST"]) == 5
