"""What a loop that never gives up logs: once in full, then a line a minute, and the end."""

import pytest
from chassis.runtime import log
from chassis.runtime.outages import EVERY, Outage
from structlog.testing import capture_logs


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def outage(now: list[float]) -> Outage:
    return Outage(log.get("test"), "thing.failed", "thing.recovered", clock=lambda: now[0])


def test_many_failures_are_a_line_a_minute(outage: Outage, now: list[float]) -> None:
    with capture_logs() as lines:
        for _ in range(600):
            outage.failed(ConnectionError("refused\nwith details"))
            now[0] += 0.5
        outage.over()

    assert [line["event"] for line in lines] == ["thing.failed"] * 5 + ["thing.recovered"]
    assert [bool(line.get("exc_info")) for line in lines] == [True] + [False] * 5
    assert lines[1]["error"] == "ConnectionError: refused"
    assert (lines[-1]["failures"], lines[-1]["seconds"]) == (600, 300.0)


def test_a_failure_after_the_end_of_an_outage_is_logged_in_full(
    outage: Outage, now: list[float]
) -> None:
    outage.failed(ConnectionError())
    outage.over()
    now[0] += EVERY / 2

    with capture_logs() as lines:
        outage.over()
        outage.failed(ValueError("another"))

    assert [(line["event"], bool(line["exc_info"])) for line in lines] == [("thing.failed", True)]
