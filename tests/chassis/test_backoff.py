"""Pauses between failed attempts grow, and start again after success or a steady while."""

import pytest
from chassis.runtime import backoff
from chassis.runtime.backoff import Backoff


class Stop:
    """An event that is never set and remembers how long it was waited for."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return False


def test_pauses_double_up_to_the_longest_and_start_again_after_success() -> None:
    pauses, stop = Backoff(0.5, 3.0), Stop()

    for _ in range(5):
        pauses.wait(stop)  # type: ignore[arg-type]
    pauses.reset()
    pauses.wait(stop)  # type: ignore[arg-type]

    assert stop.pauses == [0.5, 1.0, 2.0, 3.0, 3.0, 0.5]


def test_after_a_steady_period_pauses_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(backoff.time, "monotonic", lambda: now)
    pauses, stop = Backoff(0.5, 30.0, steady=60), Stop()

    pauses.wait(stop)  # type: ignore[arg-type]
    pauses.wait(stop)  # type: ignore[arg-type]
    now = 60.0
    pauses.wait(stop)  # type: ignore[arg-type]
    now = 121.0
    pauses.wait(stop)  # type: ignore[arg-type]

    assert stop.pauses == [0.5, 1.0, 2.0, 0.5]
