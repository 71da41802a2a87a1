"""How others learn whether a role works: its health port and its readiness file."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3
from chassis.runtime import health, roles
from chassis.runtime.readiness import NotReady, Readiness
from devtools.ports import free_port

from tests.waiting import until


class Thing:
    """A check that fails as long as there is a problem."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.checked = 0

    def __call__(self) -> None:
        self.checked += 1
        if self.problem:
            raise self.problem


@pytest.fixture
def thing() -> Thing:
    return Thing()


@pytest.fixture
def port(thing: Thing, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(health._Silent, "timeout", 0.2)
    port = free_port()
    settings = SimpleNamespace(host="127.0.0.1", health_port=port, readiness_file="")
    roles.serve_health(settings, {"thing": thing})
    yield port


def test_silent_clients_keep_no_one_waiting_and_are_cut_off(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(20)]
    silent[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")

    answer = urllib3.request("GET", f"http://127.0.0.1:{port}/readyz", timeout=30, retries=False)

    assert (answer.status, answer.json()["checks"]) == (200, {"thing": "ok"})
    assert [client.recv(1) for client in silent] == [b""] * 20
    for client in silent:
        client.close()


def test_a_role_that_does_not_work_is_503_and_alive(port: int, thing: Thing) -> None:
    thing.problem = NotReady("no success yet: ConnectionError")

    ready, alive, unknown = (
        urllib3.request("GET", f"http://127.0.0.1:{port}/{path}", timeout=30, retries=False)
        for path in ("readyz", "healthz", "metrics")
    )

    reason = {"thing": "no success yet: ConnectionError"}
    assert (ready.status, ready.json()) == (503, {"status": "unavailable", "checks": reason})
    assert (alive.status, alive.json()) == (200, {"status": "ok"})
    assert unknown.status == 404


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_process_writes_into_its_file_only_while_it_is_ready(
    tmp_path: Path, thing: Thing, stop: threading.Event
) -> None:
    file = tmp_path / "ready"
    thing.problem = ConnectionError()

    health.note(Readiness({"thing": thing}, keep=0), str(file), every=0.01, stop=stop)
    until(lambda: thing.checked > 2)
    assert not file.exists()

    thing.problem = None
    until(file.exists)
    assert 0 < int(file.read_text()) - health._uptime() <= health.VALID


def test_a_file_that_cannot_be_written_now_is_written_later(
    tmp_path: Path, thing: Thing, stop: threading.Event
) -> None:
    folder = tmp_path / "missing"
    readiness = Readiness({"thing": thing}, keep=0)
    health.note(readiness, str(folder / "ready"), every=0.01, stop=stop)
    until(lambda: thing.checked > 2)

    folder.mkdir()

    until((folder / "ready").exists)


def test_without_a_file_nothing_is_written(thing: Thing) -> None:
    before = threading.active_count()

    health.note(Readiness({"thing": thing}), "")

    assert threading.active_count() == before
