"""What the threads of relay and tick say about their work."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.db.leases import Leases
from chassis.messaging.backlog import Backlog
from chassis.messaging.relay import Relay
from chassis.runtime import ids, tick
from chassis.runtime.readiness import Readiness
from chassis.runtime.service import Job

from tests.chassis.messages import NOON, publish_opened
from tests.chassis.test_jobs import Lanes
from tests.chassis.test_readiness import Now
from tests.chassis.test_relay import FakeBus
from tests.waiting import until


@pytest.fixture
def start() -> Iterator[Callable[[Any], None]]:
    """Runs relays and jobs until the test ends."""
    stop, threads = threading.Event(), []

    def start(working: Any) -> None:
        threads.append(threading.Thread(target=working.run, args=(stop,)))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def outcome(working: Any) -> dict[str, str]:
    return dict(Readiness(working.checks, keep=0).outcome())


def test_a_relay_works_once_it_has_taken_a_step_even_an_empty_one(
    database: Database, start: Callable[[Any], None]
) -> None:
    sender = Relay(database, FakeBus())
    assert outcome(sender) == {"relay": "no success yet", "outbox": "ok"}

    start(sender)

    until(lambda: outcome(sender) == {"relay": "ok", "outbox": "ok"})


def test_a_relay_whose_bus_fails_says_so(database: Database, start: Callable[[Any], None]) -> None:
    bus = FakeBus()
    bus.is_down = True
    publish_opened(database, ids.new("org"))
    sender = Relay(database, bus)

    start(sender)

    until(lambda: outcome(sender)["relay"] == "no success yet: ConnectionError")


def test_a_returned_message_is_reported_until_it_is_sent(database: Database) -> None:
    bus = FakeBus()
    [message_id] = bus.unroutable = set(publish_opened(database, ids.new("org")))
    sender = Relay(database, bus)

    sender.step(NOON)
    reported = outcome(sender)["outbox"]
    bus.unroutable = set()
    sender.step(NOON + timedelta(minutes=1))

    assert reported == f"returned by the broker: {message_id} (312 NO_ROUTE)"
    assert outcome(sender)["outbox"] == "ok"


def test_a_message_that_is_sent_again_and_again_is_stuck(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    [message_id] = publish_opened(database, ids.new("org"))
    sender = Relay(database, FakeBus())
    monkeypatch.setattr(sender, "_mark", lambda *_: None)
    monkeypatch.setattr(sender, "_backlog", Backlog(limit=-1))

    sender.step(NOON)
    sender.step(NOON)

    assert outcome(sender)["outbox"].startswith(f"{message_id} could not be sent")


def test_jobs_work_once_the_leases_are_renewed_and_each_lane_has_taken_a_turn(
    database: Database, start: Callable[[Any], None]
) -> None:
    jobs = tick.Tick(Lanes([]), database, None)  # type: ignore[arg-type]
    names = ["leases", "jobs first", "jobs second"]
    assert outcome(jobs) == dict.fromkeys(names, "no success yet")

    start(jobs)

    until(lambda: outcome(jobs) == dict.fromkeys(names, "ok"))


class Jobs:
    """A service with these jobs."""

    def __init__(self, *jobs: Job) -> None:
        self.all_jobs = lambda: jobs


def test_a_job_that_fails_for_long_is_reported_until_it_succeeds(
    database: Database, start: Callable[[Any], None]
) -> None:
    now, failed, works = Now(), threading.Event(), threading.Event()

    def run(*_: Any) -> int:
        failed.set()
        if works.is_set():
            return 0
        raise KeyError("a secret")

    job = Job("thing", 0.01, run)
    jobs = tick.Tick(Jobs(job), database, None, now)  # type: ignore[arg-type]
    start(jobs)
    assert failed.wait(240)
    now.seconds += tick.MAX_TURN_SECONDS + 1
    until(lambda: outcome(jobs)["jobs"].endswith(": thing failed: KeyError"))

    works.set()
    until(lambda: outcome(jobs)["jobs"] == "ok")


def test_a_lane_that_hangs_is_reported_and_the_others_are_well(
    database: Database, start: Callable[[Any], None]
) -> None:
    now, entered, hanging = Now(), threading.Event(), threading.Event()

    def hang(*_: Any) -> int:
        entered.set()
        hanging.wait(300)
        return 0

    service = Jobs(Job("slow", 1, hang, "slow"), Job("other", 0.01, lambda *_: 0))
    jobs = tick.Tick(service, database, None, now)  # type: ignore[arg-type]
    start(jobs)
    try:
        assert entered.wait(240)
        now.seconds += tick.MAX_TURN_SECONDS + 1
        until(lambda: outcome(jobs)["jobs"] == "ok")
        assert outcome(jobs)["jobs slow"].startswith("no success since")
    finally:
        hanging.set()

    until(lambda: outcome(jobs)["jobs slow"] == "ok")


def test_leases_that_cannot_be_renewed_are_reported(
    database: Database, start: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(Leases, "renew", refuse)
    jobs = tick.Tick(Lanes([]), database, None)  # type: ignore[arg-type]

    start(jobs)

    until(lambda: outcome(jobs)["leases"] == "no success yet: ConnectionError")
