"""Turns at SQLite's writer: requests before background work, and both at the same database."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from chassis.db import turns
from chassis.db.database import Database
from chassis.db.turns import MAX_REQUESTS_AHEAD, WriterLock

from tests.waiting import until


class Queue:
    """Threads that wait for a turn, one after the other; ``order``: who got it."""

    def __init__(self) -> None:
        self.turns, self.order = WriterLock(), list[str]()
        self.threads: list[threading.Thread] = []

    def add(self, name: str, *, request: bool) -> None:
        """Return when the thread waits."""
        before = self.turns.waiting
        self.threads.append(threading.Thread(target=self.take, args=(name, request), daemon=True))
        self.threads[-1].start()
        until(lambda: self.turns.waiting > before)

    def take(self, name: str, request: bool) -> None:
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
    requests = [f"request {n}" for n in range(2 * MAX_REQUESTS_AHEAD + 1)]
    with queue.turns:
        for name in requests:
            queue.add(name, request=True)
        queue.add("work 1", request=False)
        queue.add("work 2", request=False)
    queue.join()
    assert queue.order == [
        *requests[:MAX_REQUESTS_AHEAD],
        "work 1",
        *requests[MAX_REQUESTS_AHEAD : 2 * MAX_REQUESTS_AHEAD],
        "work 2",
        *requests[2 * MAX_REQUESTS_AHEAD :],
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
    monkeypatch.setattr(turns, "RECENT_SECONDS", 3600.0)
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


@pytest.mark.parametrize("is_given", [False, True], ids=["while it waits", "as it gets the turn"])
def test_a_thread_that_is_interrupted_keeps_the_writer_from_nobody(
    monkeypatch: pytest.MonkeyPatch, is_given: bool
) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if is_given:
                super().wait(timeout)
            raise KeyboardInterrupt

    queue, ended = Queue(), list[str]()

    def be_interrupted() -> None:
        with pytest.raises(KeyboardInterrupt), queue.turns:
            ended.append("had the turn")
        ended.append("interrupted")

    interrupted = threading.Thread(target=be_interrupted)
    with queue.turns:
        with monkeypatch.context() as patched:
            patched.setattr(turns, "Event", Interrupted)
            interrupted.start()
            until(lambda: queue.turns.waiting or ended)
        if not is_given:
            interrupted.join(60)
        queue.add("work", request=False)
        assert queue.turns.waiting == (2 if is_given else 1)
    interrupted.join(60)
    assert ended == ["interrupted"]
    queue.threads[0].join(10)
    assert queue.order == ["work"], "no one has the turn that it was given"
    _run_in_thread(lambda: queue.take("next", request=False))
    assert queue.order == ["work", "next"]


def test_a_pause_waits_no_longer_than_a_pause_for_that_of_another_thread(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has used counts at its next pause."""
    used = iter([0.002, 0.003, 0.003])
    monkeypatch.setattr(turns, "thread_time", lambda: next(used))
    monkeypatch.setattr(turns, "_last_request", float("inf"))
    monkeypatch.setattr(turns, "LONGEST_PAUSE", 0.1)
    went_on = threading.Event()
    writer = WriterLock()

    def work_twice() -> None:
        with writer:
            pass
        went_on.set()
        resumed.wait(60)
        with writer:
            pass

    resumed = threading.Event()
    thread = threading.Thread(target=work_twice, daemon=True)
    with turns._pausing:
        thread.start()
        assert went_on.wait(30), "it waits until the other has paused"
        assert pauses == []
    resumed.set()
    thread.join(60)
    assert pauses == [pytest.approx(0.003 * turns.PAUSE_PER_SECOND)]


def test_nothing_pauses_if_there_are_no_more_requests_once_others_have_paused(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    class UntilRequestsEnd:
        def acquire(self, **_: float) -> bool:
            monkeypatch.setattr(turns, "_last_request", float("-inf"))
            return True

        def release(self) -> None:
            pass

    monkeypatch.setattr(turns, "_last_request", float("inf"))
    monkeypatch.setattr(turns, "_pausing", UntilRequestsEnd())
    writer = WriterLock()

    def work() -> None:
        with writer:
            pass

    _run_in_thread(work)
    assert pauses == []


def _run_in_thread(target: Callable[[], None]) -> None:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(60)
