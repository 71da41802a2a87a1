"""Failpoints, and jobs that run by the clock."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from chassis.db import leases
from chassis.db.database import Database
from chassis.runtime import clock, failpoints, ids, tick
from chassis.runtime.service import Job

from tests.chassis.messages import publish_opened
from tests.waiting import until


def test_a_failpoint_does_nothing_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIENTELE_FAILPOINT", raising=False)
    failpoints.hit("relay.published")
    monkeypatch.setenv("CLIENTELE_FAILPOINT", "elsewhere")
    failpoints.hit("relay.published")


def test_a_job_that_fails_does_not_stop_the_others(database: Database) -> None:
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

    thread = threading.Thread(target=tick.Tick(Two, database, None).run, args=(stop,))
    thread.start()
    until(lambda: ran.count("working") >= 2 and ran.count("failing") >= 2)
    stop.set()
    thread.join()


def test_a_job_that_did_something_runs_again_immediately(database: Database) -> None:
    left, stop = [3, 2, 1, 0], threading.Event()

    class One:
        @staticmethod
        def all_jobs() -> tuple[Job, ...]:
            return (Job("slow", 3600, lambda *_: left.pop(0) if left else 0),)

    thread = threading.Thread(target=tick.Tick(One, database, None).run, args=(stop,))
    thread.start()
    until(lambda: not left)
    stop.set()
    thread.join()


class Lanes:
    """A service with a job in each of two lanes, which note who ran them."""

    def __init__(self, ran: list[str]) -> None:
        self.ran = ran

    def all_jobs(self) -> tuple[Job, ...]:
        def note(database: Database, *_: Any) -> int:
            self.ran.append(threading.current_thread().name)
            return 0

        return Job("one", 0.01, note, "first"), Job("two", 0.01, note, "second")


@pytest.mark.both_databases
def test_the_lanes_of_a_frozen_process_are_taken_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (leases, tick):
        monkeypatch.setattr(module, "LENGTH", timedelta(seconds=1))
    frozen = leases.Leases(database, "lanes", ["first", "second"])
    frozen.renew(clock.now())
    ran: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=tick.Tick(Lanes(ran), database, None).run, args=(stop,))
    thread.start()
    try:
        until(lambda: len(set(ran)) == 2)
        assert not [lane for lane in ("first", "second") if frozen.holds(lane, clock.now())]
    finally:
        stop.set()
        thread.join()


@pytest.mark.both_databases
def test_two_processes_share_the_lanes_and_one_takes_over_from_the_other(
    database: Database,
) -> None:
    ran: list[list[str]] = [[], []]
    stops = [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(target=tick.Tick(Lanes(ran[n]), database, None).run, args=(stops[n],))
        for n in (0, 1)
    ]
    try:
        for thread in threads:
            thread.start()
        until(lambda: ran[0] and ran[1])

        stops[1].set()
        threads[1].join()
        del ran[0][:]
        until(lambda: len(set(ran[0])) == 2)
    finally:
        for stop, thread in zip(stops, threads, strict=True):
            stop.set()
            thread.join()


def test_jobs_run_less_often_while_there_is_nothing_to_do_for_long() -> None:
    now = [0.0]
    pace = tick.Pace(lambda: now[0])
    job, exact = Job("thing", 0.5, lambda *_: 0, idle=2), Job("exact", 0.5, lambda *_: 0)
    assert pace.pause(job, 0.5) == 0.5

    now[0] = tick.ACTIVE + 1
    assert [pace.pause(job, 0.5), pace.pause(job, 1), pace.pause(job, 2)] == [1, 2, 2]
    assert pace.pause(exact, 0.5) == 0.5

    pace.note_activity()
    assert pace.pause(job, 2) == 0.5


def test_what_is_published_makes_jobs_run_at_their_own_pace_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    monkeypatch.setattr(tick.Pace, "note_activity", lambda _: noted.append("active"))
    tick.Tick(Lanes([]), database, None)

    publish_opened(database, ids.new("org"))

    assert noted == ["active"]
