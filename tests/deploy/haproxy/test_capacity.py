"""No gateway, too many requests, slow clients: what others notice of it."""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from devtools.ports import free_port

from tests.deploy.haproxy.conftest import Start
from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import assert_problem, eventually, is_served, send
from tests.waiting import until


def test_no_gateway_is_503(start: Start) -> None:
    headers = assert_problem(
        send(start(free_port(), wait_for=503), "GET", "/v1/me"), 503, "service_unavailable"
    )
    assert headers["retry-after"] == "1"


def test_a_lost_response_is_503_too(proxy: int) -> None:
    headers = assert_problem(send(proxy, "POST", "/v1/hang-up", b"{}"), 503, "service_unavailable")
    assert headers["retry-after"] == "1"


def test_requests_beyond_capacity_are_refused_after_three_seconds(
    start: Start, impatient: Path
) -> None:
    upstream = Upstream()
    proxy = start(upstream.server_port, config=impatient, GATEWAY_MAXCONN="2")
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(send, proxy, "GET", "/v1/hold") for _ in range(2)]
        until(lambda: len(upstream.seen) == 2)
        answer = send(proxy, "GET", "/v1/me")
        assert_problem(answer, 503, "service_unavailable")
        upstream.hold.set()
        assert [each.result()[0] for each in held] == [200, 200]
    upstream.stop()


def test_slow_clients_do_not_affect_others(start: Start, impatient: Path) -> None:
    """Half-sent heads and bodies, many more than the gateway has threads: other clients are served,
    the slow ones are cut off."""
    upstream = Upstream()
    proxy = start(upstream.server_port, config=impatient)
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
    upstream.stop()


def test_a_trickling_body_is_cut_off(start: Start, upstream: Upstream, impatient: Path) -> None:
    proxy = start(upstream.server_port, config=impatient)
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


def test_slow_pages_leave_the_api_alone(start: Start, upstream: Upstream, impatient: Path) -> None:
    slow = Upstream()
    proxy = start(
        upstream.server_port,
        config=impatient,
        CONSOLE_PORT=str(slow.server_port),
        CONSOLE_MAXCONN="2",
    )
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
                stack.enter_context(socket.create_connection(("127.0.0.1", proxy), timeout=60))
        assert eventually(lambda: not is_served(proxy))
    assert eventually(lambda: is_served(proxy))


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
