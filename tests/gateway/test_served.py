"""The gateway as in production: `python -m gateway web`, gunicorn, sockets, services over HTTP."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clientele import registry

from tests.gateway.fakes import SECRET, Fake, bearer, serve, token
from tests.waiting import until


@dataclass
class Served:
    port: int
    fakes: dict[str, Fake]
    log: Path

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def raw(self, text: bytes) -> bytes:
        """Send exactly these bytes; returns the status line of the response."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(text)
            return connection.recv(4096).partition(b"\r\n")[0]

    @property
    def forwarded(self) -> list[str]:
        return [seen.target for fake in self.fakes.values() for seen in fake.seen]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    fakes = {name: Fake(name) for name in ("org", "billing", "membership")}
    addresses = {name: serve(fake) for name, fake in fakes.items()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = tmp_path_factory.mktemp("gateway") / "secret"
    secret.write_text(SECRET)
    environment = {
        **{
            key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "PYTHONPATH")
        },
        **{f"{name.upper()}_URL": url for name, (url, _) in addresses.items()},
        "PUBLIC_URL": "https://api.example.com",
        "REGISTRY": str(registry.FILE),
        "INTERNAL_SECRET_FILE": str(secret),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "FEED_POLL_S": "0.1",
    }
    log = secret.with_name("log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "web"], env=environment, stderr=errors
        )
    world = Served(port, fakes, log)

    def is_ready() -> bool:
        try:
            return world.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    until(is_ready)
    yield world
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    for _, end in addresses.values():
        end()


@pytest.fixture(autouse=True)
def forget(served: Served) -> None:
    for fake in served.fakes.values():
        fake.seen.clear()


def test_it_forwards_and_logs_one_line_of_json(served: Served) -> None:
    assert served.ask("POST", "/v1/usage", {**bearer(), "X-Request-Id": "line-1"}, b"{}")[0] == 200
    lines = [json.loads(line) for line in served.log.read_text().splitlines() if "line-1" in line]
    assert [
        (line["service"], line["upstream"], line["route"], line["status"]) for line in lines
    ] == [("gateway", "billing", "/v1/usage", 200)]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/organizations/%2e%2e/%2e%2e/internal/revocations",
        "/v1/me/../../internal/openapi.json",
        "//internal/x",
        "/v1/me%2f..%2finternal",
        "/internal/revocations",
        "http://billing/v1/me",
        "/v1/me%00",
        "/v1//me",
        "*",
        "/v1/me#/..",
        "/v1/%6de",
    ],
)
def test_tricks_with_paths_reach_no_service(served: Served, path: str) -> None:
    status = served.raw(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n\r\n".encode()
    )
    assert status.split()[1] in (b"404", b"400")
    assert served.forwarded == []


def test_two_tokens_are_refused(served: Served) -> None:
    header = f"Authorization: Bearer {token()}\r\n"
    status = served.raw(f"GET /v1/me HTTP/1.1\r\nHost: x\r\n{header}{header}\r\n".encode())
    assert status.split()[1] in (b"401", b"400")
    assert served.forwarded == []


def test_a_chunked_body_is_counted_while_it_arrives(served: Served) -> None:
    def post(chunks: int) -> bytes:
        head = (
            f"POST /v1/organizations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {token()}\r\n\r\n"
        )
        return served.raw(
            head.encode()
            + b"2000\r\n"
            + (b"x" * 0x2000 + b"\r\n2000\r\n") * chunks
            + b"x" * 0x2000
            + b"\r\n0\r\n\r\n"
        ).split()[1]

    assert post(7) == b"200"
    assert post(8) == b"413"
    assert [len(seen.body) for seen in served.fakes["org"].seen] == [64 * 1024]


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
        "Content-Length: +4",
        "Content-Length : 4",
    ],
)
def test_an_ambiguous_body_reaches_no_service(served: Served, framing: str) -> None:
    status = served.raw(
        f"POST /v1/organizations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
        f"{framing}\r\n\r\nabcd\r\n0\r\n\r\n".encode()
    )
    assert status.split()[1] in (b"400", b"501")
    assert served.forwarded == []


def test_invalid_chunks_are_400_and_what_follows_is_not_a_request(served: Served) -> None:
    authorization = f"Authorization: Bearer {token()}\r\n"
    head = (
        f"POST /v1/usage HTTP/1.1\r\nHost: x\r\n{authorization}Transfer-Encoding: chunked\r\n\r\n"
    )
    status = served.raw(
        f"{head}zz\r\nGET /v1/me HTTP/1.1\r\nHost: x\r\n{authorization}\r\n".encode()
    )
    assert status.split()[1] == b"400"
    assert served.forwarded == []


def test_missing_settings_are_all_named() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway", "web"],
        env={"PATH": os.environ["PATH"], "REGISTRY": str(registry.FILE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 1
    assert all(
        name in result.stderr
        for name in ("ORG_URL", "BILLING_URL", "MEMBERSHIP_URL", "INTERNAL_SECRET")
    )
    assert "Traceback" not in result.stderr


def test_it_needs_no_database_and_no_broker() -> None:
    code = (
        "import sys, gateway.app, chassis.runtime.web_server; "
        "print([m for m in ('sqlalchemy', 'psycopg', 'kombu', 'alembic') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    assert result.stdout.strip() == "[]"
