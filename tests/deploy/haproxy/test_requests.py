"""What HAProxy lets through, changes, refuses and logs of a request."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from devtools.ports import free_port

from tests.deploy.haproxy.conftest import CONFIG, Start
from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import assert_problem, eventually, is_served, send, send_raw

KIB = 1024


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


def test_a_body_that_does_not_arrive_is_a_problem(
    start: Start, upstream: Upstream, impatient: Path
) -> None:
    proxy = start(upstream.server_port, config=impatient)
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
        resources = ("/v1/verifications", "/v1/password-resets", "/v1/mfa-resets")
        for path in (*resources, "/verify", "/undo", "/reset", "/reset-codes"):
            send(port, "POST", f"{path}/canary")
        assert process.stdout
        lines = []
        while len([line for line in lines if line["method"] == "POST"]) < 7:
            text = process.stdout.readline()
            assert text, "it has ended"
            if text.startswith("{"):
                lines.append(json.loads(text))
        process.terminate()
        lines += [json.loads(line) for line in process.stdout if line.startswith("{")]
    assert "canary" not in str(lines)
    [logged] = [line for line in lines if line["path"] == '/v1/"']
    assert (logged["method"], logged["status"]) == ("GET", 200)
    assert len([line for line in lines if line["method"] == "POST"]) == 7
