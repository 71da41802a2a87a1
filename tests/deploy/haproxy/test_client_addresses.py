"""Whose request it is, behind a trusted proxy or by the PROXY protocol."""

import contextlib
import http.client
import socket

import pytest

from tests.deploy.haproxy.conftest import Start
from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import client_of, is_served, send


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
    line = http.client.HTTPConnection("127.0.0.1", behind_a_proxy, timeout=60)

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
            stack.enter_context(socket.create_connection(("127.0.0.1", behind_a_proxy), timeout=60))
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
