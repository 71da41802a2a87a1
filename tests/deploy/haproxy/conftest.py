"""HAProxy as a private process in front of servers that record what reaches them."""

import contextlib
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devtools.ports import free_port
from devtools.servers import installation

from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import send

CONFIG = Path(__file__).parents[3] / "deploy/haproxy/haproxy.cfg"
Start = Callable[..., int]


@pytest.fixture(scope="session")
def haproxy() -> str:
    return str(installation.haproxy())


@pytest.fixture(scope="session")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration with shorter timeouts, for tests that wait for them."""
    text = CONFIG.read_text()
    for configured, shorter in (
        ("timeout http-request 5s", "timeout http-request 3s"),
        ("wait-for-body time 5s", "wait-for-body time 3s"),
        ("timeout queue 3s", "timeout queue 1s"),
    ):
        assert f"{configured}\n" in text
        text = text.replace(configured, shorter)
    path = tmp_path_factory.mktemp("haproxy") / "impatient.cfg"
    path.write_text(text)
    return path


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
        config: Path = CONFIG,
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
                [haproxy, "-db", "-f", config], env=environment, stdout=subprocess.DEVNULL
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
