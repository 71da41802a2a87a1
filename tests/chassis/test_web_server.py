"""The threads of the web server do not wait for slow clients without end."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chassis.http import application
from chassis.runtime.paced_socket import Pace
from chassis.runtime.readiness import Progress
from chassis.runtime.web_server import PacedWorker, WebServer
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn

from tests.waiting import until


class Served:
    """A worker whose only connection is ``client``. ``body``: of its response."""

    def __init__(self, body: Iterator[bytes]) -> None:
        config = Config()
        config.set("threads", 2)
        self.worker = PacedWorker(1, 0, [], None, 30, config, Logger(config))
        self.worker.log.error_log.setLevel(logging.CRITICAL)
        self.worker.pace = Pace(patience=0.01, rate=10**9, total=60)
        self.body, self.read, self.closed = body, b"", False
        self.worker.wsgi = self.application
        server, self.client = socket.socketpair()
        self.connection = TConn(config, server, ("127.0.0.1", 1), ("127.0.0.1", 2))

    def application(self, environ: dict[str, Any], start_response: Any) -> "Served":
        self.read = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self.body

    def close(self) -> None:
        self.closed = True

    def handle(self) -> bool:
        """Handle a request; returns whether the connection is kept."""
        return bool(self.worker.handle(self.connection))


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served(b"x" * 100_000 for _ in range(1000))
    yield server
    server.connection.sock.close()
    server.client.close()


def test_a_client_that_does_not_read_loses_its_connection(served: Served) -> None:
    served.client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert served.handle() is False
    assert served.closed, "what the response holds is free again"
    assert next(served.body), "the rest was not even made"


@pytest.mark.parametrize(
    "begun",
    [b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["head", "body"],
)
def test_a_client_that_stops_sending_loses_its_connection(served: Served, begun: bytes) -> None:
    served.client.sendall(begun)

    assert served.handle() is False
    assert served.read == b""


def test_a_client_that_keeps_up_is_served_again_and_again(served: Served) -> None:
    for _ in range(2):
        served.body = iter([b"y"])
        served.client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert served.handle() is True
        assert b"200 OK" in served.client.recv(1000)


def test_a_worker_that_turns_and_is_ready_writes_into_the_readiness_file(
    tmp_path: Path, served: Served
) -> None:
    file = tmp_path / "ready"
    app = application.build("thing", title="Thing", access=None, blueprints=[], ready_for=0)
    server = WebServer(lambda: app, "127.0.0.1:1", 1, 1, readiness_file=str(file))
    served.worker.progress = PacedWorker.progress = Progress()

    assert server.load() is app
    assert app.test_client().get("/readyz").json["checks"] == {"server": "no success yet"}
    assert not file.exists()

    served.worker.notify()
    assert app.test_client().get("/readyz").json["checks"] == {"server": "ok"}
    until(file.exists)
