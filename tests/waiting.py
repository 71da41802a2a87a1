"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Any


def until(
    condition: Callable[[], Any],
    seconds: float = 240,
    *,
    every: float = 0.02,
    state: Callable[[], Any] = str,
) -> Any:
    """Wait until the condition is true and return its value; fail after the deadline, with the
    state reached by then."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"the condition did not become true in time {state()}"
        time.sleep(every)
    return value
