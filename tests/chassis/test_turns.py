"""Turns at SQLite's writer: requests before background work, and both at the same database."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from chassis.db import turns
from chassis.db.database import Database
from chassis.db.turns import PASSED, Turns

from tests.waiting import until


class Queue:
    """Threads that wait for a turn, one after the other; ``order``: who got it."""

    def __init__(self) -> None:
        self.turns, self.order = Turns(), list[str]()
        self.threads: list[threading.Thread] = []

    def add(self, name: str, *, request: bool) -> None:
        """Return when the thread waits."""
        before = self.turns.waiting
        self.threads.append(threading.Thread(target=self._take, args=(name, request)))
        self.threads[-1].start()
        until(lambda: self.turns.waiting > before)

    def _take(self, name: str, request: bool) -> None:
        if request:
            turns.note_request()
        with self.turns:
            self.order.append(name)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(60)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which background work pauses; no request was served before."""
    paused: list[float] = []
    monkeypatch.setattr(turns, "_last_request", float("-inf"))
    monkeypatch.setattr(turns, "sleep", paused.append)
    return paused


def test_requests_go_before_background_work_that_came_earlier() -> None:
    queue = Queue()
    with queue.turns:
        queue.add("work 1", request=False)
        queue.add("work 2", request=False)
        queue.add("request 1", request=True)
        queue.add("request 2", request=True)
    queue.join()
    assert queue.order == ["request 1", "request 2", "work 1", "work 2"]


def test_background_work_gets_its_turn_however_many_requests_wait() -> None:
    queue = Queue()
    requests = [f"request {n}" for n in range(2 * PASSED + 1)]
    with queue.turns:
        for name in requests:
            queue.add(name, request=True)
        queue.add("work 1", request=False)
        queue.add("work 2", request=False)
    queue.join()
    assert queue.order == [
        *requests[:PASSED],
        "work 1",
        *requests[PASSED : 2 * PASSED],
        "work 2",
        *requests[2 * PASSED :],
    ]


def test_background_work_pauses_after_its_transactions_while_there_are_requests(
    tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")

    def work() -> None:
        with database.transaction():
            pass

    def serve() -> None:
        turns.note_request()
        work()

    _run_in_thread(work)
    assert not pauses, "there are no requests"
    monkeypatch.setattr(turns, "RECENT", 3600.0)
    _run_in_thread(serve)
    assert not pauses, "requests do not pause"
    _run_in_thread(work)
    [seconds] = pauses
    assert 0 < seconds <= turns.LONGEST_PAUSE
    database.close()


def test_what_is_done_again_and_again_rests_for_longer_the_longer_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert turns.rest_after(1) == 0, "there are no requests"
    monkeypatch.setattr(turns, "_last_request", float("inf"))
    assert 0 < turns.rest_after(0.001) < turns.rest_after(0.01) < turns.rest_after(10)
    assert turns.rest_after(10) == turns.LONGEST_REST


def _run_in_thread(target: Callable[[], None]) -> None:
    thread = threading.Thread(target=target)
    thread.start()
    thread.join(60)
