"""Failpoints, and jobs that run by the clock."""

import contextvars
import threading
import time
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from chassis.db import leases
from chassis.db.database import Database, cause
from chassis.runtime import clock, failpoints, ids, notifications, tick
from chassis.runtime.service import Job

from tests.chassis.messages import Effect, publish_opened
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
    monkeypatch.setattr(leases, "LENGTH", timedelta(seconds=1))
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
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LENGTH", timedelta(seconds=1))
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


@pytest.mark.parametrize(
    ("woken", "pauses", "prompt"), [(True, [1, 2, 10, 30], 5), (False, [1, 2, 2, 2], 2)]
)
def test_jobs_run_less_often_while_nothing_changes(
    woken: bool, pauses: list[float], prompt: float
) -> None:
    now = [0.0]
    pace = tick.Pace(lambda: now[0])
    pace.is_woken = woken
    job, rare = Job("thing", 0.5, lambda *_: 0), Job("rare", 60, lambda *_: 0)
    limited = Job("limited", 0.5, lambda *_: 0, idle=5)
    assert pace.pause(job, 0.5) == 0.5

    now[0] = tick.ACTIVE_SECONDS + 1
    assert [pace.pause(job, before) for before in (0.5, 1, 5, 20)] == pauses
    assert pace.pause(rare, 60) == 60
    assert pace.pause(limited, 20) == prompt

    assert pace.note_activity(), "jobs may be resting"
    assert pace.pause(job, 2) == 0.5
    now[0] += tick.ACTIVE_SECONDS / 2
    assert not pace.note_activity(), "they run at their own pace"


def rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs rest from their first turn on, until they are woken."""
    monkeypatch.setattr(tick.Pace, "pause", lambda *_: 3600.0)
    monkeypatch.setattr(tick, "ACTIVE_SECONDS", 0.0)


class Resting:
    """A service with one job, which rests from its first turn on."""

    def __init__(self, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran = ran
        rest(monkeypatch)

    def all_jobs(self) -> tuple[Job, ...]:
        return (Job("thing", 0.01, lambda *_: self.ran.append("thing")),)  # type: ignore[func-returns-value]


def test_what_is_published_in_its_process_makes_a_job_run_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    jobs, stop = tick.Tick(Resting(ran, monkeypatch), database, None), threading.Event()
    thread = threading.Thread(target=jobs.run, args=(stop,))
    thread.start()
    try:
        until(lambda: ran)
        for turns in (2, 3):
            publish_opened(database, ids.new("org"))
            until(lambda: len(ran) == turns)  # noqa: B023 - called before the loop goes on
    finally:
        stop.set()
        thread.join()


def test_what_a_job_did_lets_the_others_take_a_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that come before it in the lane, as those that send mail do."""
    rest(monkeypatch)
    sent: list[str] = []
    queued = [0]

    class Mail:
        @staticmethod
        def all_jobs() -> tuple[Job, ...]:
            send = Job("send", 0.01, lambda *_: sent.append("mail"))  # type: ignore[func-returns-value]
            return send, Job("queue", 0.01, lambda *_: queued.pop() if queued else 0)

    jobs, stop = tick.Tick(Mail, database, None), threading.Event()
    thread = threading.Thread(target=jobs.run, args=(stop,))
    thread.start()
    try:
        until(lambda: not queued)
        before = len(sent)
        queued.append(1)
        jobs.wake()
        until(lambda: len(sent) >= before + 2)
    finally:
        stop.set()
        thread.join()


def test_a_job_rests_while_there_are_requests_also_if_something_is_published(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what changes meanwhile is published together."""
    monkeypatch.setattr(tick, "rest_after", lambda seconds: 3600.0)
    job = Job("thing", 0.01, lambda *_: 0)
    schedule = tick._Schedule(job, database, None, tick.Pace())

    contextvars.copy_context().run(schedule.take_if_due)
    schedule.bring_forward()

    assert schedule.due > time.monotonic() + 1800


def test_a_change_by_another_process_makes_a_job_run_again(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    jobs, stop = tick.Tick(Resting(ran, monkeypatch), postgres_database, None), threading.Event()
    channels = {notifications.CHANGED: jobs.wake}
    listening = (postgres_database.url, channels, jobs, stop)
    threads = [
        threading.Thread(target=jobs.run, args=(stop,)),
        threading.Thread(target=notifications.listen, args=listening),
    ]
    seconds = count(step=60)
    other = notifications.database(postgres_database.url, 1, lambda: next(seconds))
    for thread in threads:
        thread.start()
    try:
        until(lambda: jobs.is_woken and ran)
        for _ in range(3):  # the first may be taken for the wake-up of the connection
            before = len(ran)
            with other.transaction() as session:
                session.add(Effect(word=ids.new("org")))
            until(lambda: len(ran) > before)  # noqa: B023 - called before the loop goes on
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        other.close()


def test_a_process_announces_changes_seldom_and_those_of_jobs_and_upkeep_never(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    works = [False]

    def notify(_: Database, channel: str) -> bool:
        sent.append(channel)
        return works[0]

    monkeypatch.setattr(notifications, "_notify", notify)
    now = [0.0]
    database = notifications.database(postgres_database.url, 1, lambda: now[0])

    def change() -> None:
        with database.transaction() as session:
            session.add(Effect(word=ids.new("org")))

    leases.Leases(database, "lanes", ["one"]).renew(clock.now())
    a_job = contextvars.copy_context()
    a_job.run(cause.set, "thing")
    a_job.run(change)
    assert sent == []

    change()
    works[0] = True
    for second, expected in ((0.0, 2), (9.9, 2), (10.0, 3)):
        now[0] = second
        change()
        assert sent == ["changed"] * expected, "one that failed is sent again"
    database.close()
