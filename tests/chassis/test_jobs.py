"""Failpoints, and jobs that run by the clock."""

import threading
from typing import Any

import pytest
from chassis.runtime import failpoints, tick
from chassis.runtime.service import Job

from tests.waiting import until


def test_a_failpoint_does_nothing_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIENTELE_FAILPOINT", raising=False)
    failpoints.hit("relay.published")
    monkeypatch.setenv("CLIENTELE_FAILPOINT", "elsewhere")
    failpoints.hit("relay.published")


def test_a_job_that_fails_does_not_stop_the_others() -> None:
    ran: list[str] = []
    stop = threading.Event()

    def failing(*_: Any) -> int:
        ran.append("failing")
        raise RuntimeError

    def working(*_: Any) -> int:
        ran.append("working")
        return 0

    class Two:
        @staticmethod
        def all_jobs() -> tuple[Job, ...]:
            return Job("failing", 0.01, failing), Job("working", 0.01, working)

    thread = threading.Thread(target=tick.run, args=(Two, None, None, stop))
    thread.start()
    until(lambda: ran.count("working") >= 2 and ran.count("failing") >= 2)
    stop.set()
    thread.join()


def test_a_job_that_did_something_runs_again_immediately() -> None:
    left, stop = [3, 2, 1, 0], threading.Event()

    class One:
        @staticmethod
        def all_jobs() -> tuple[Job, ...]:
            return (Job("slow", 3600, lambda *_: left.pop(0) if left else 0),)

    thread = threading.Thread(target=tick.run, args=(One, None, None, stop))
    thread.start()
    until(lambda: not left)
    stop.set()
    thread.join()
