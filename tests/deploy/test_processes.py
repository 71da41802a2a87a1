"""The distributed mode as plain processes: no process outlives the command."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from devtools import processes
from devtools.ports import free_port


@pytest.fixture(autouse=True)
def signals_are_given_back() -> Iterator[None]:
    known = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


def test_roles_that_run_are_stopped_when_another_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events = []

    class Fleet:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def prepare(self) -> None:
            events.append("prepare")

        def start(self) -> None:
            raise RuntimeError("org-web has ended")

        def stop(self) -> None:
            events.append("stop")

    monkeypatch.setattr(processes, "System", Fleet)
    monkeypatch.setattr(processes, "Postgres", nullcontext)
    monkeypatch.setattr(processes, "RabbitMQ", nullcontext)

    with pytest.raises(RuntimeError, match="org-web"):
        processes.run(tmp_path)

    assert events == ["prepare", "stop"]


def test_a_port_is_given_to_one_process_only() -> None:
    given = {free_port() for _ in range(2000)}
    others = subprocess.check_output(
        [
            sys.executable,
            "-c",
            "from devtools.ports import free_port\nprint(*(free_port() for _ in range(2000)))",
        ],
        text=True,
    )

    assert len(given) == 2000
    assert given.isdisjoint(map(int, others.split()))
