"""The health endpoints of roles that serve nothing else."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import urllib3
from chassis.runtime import roles
from devtools.ports import free_port
from org.app import SERVICE


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(roles._Silent, "timeout", 0.2)
    port = free_port()
    settings = SimpleNamespace(host="127.0.0.1", health_port=port)
    roles.serve_health(SERVICE, settings, {"thing": lambda: None})
    yield port


def test_silent_clients_keep_no_one_waiting_and_are_cut_off(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(20)]
    silent[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")

    answer = urllib3.request("GET", f"http://127.0.0.1:{port}/readyz", timeout=30, retries=False)

    assert (answer.status, answer.json()["checks"]) == (200, {"thing": "ok"})
    assert [client.recv(1) for client in silent] == [b""] * 20
    for client in silent:
        client.close()
