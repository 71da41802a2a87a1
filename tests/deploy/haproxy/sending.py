"""Requests through the proxy, and what came of them."""

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping

from tests.deploy.haproxy.recording_server import Upstream


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
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
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
