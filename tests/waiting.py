"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Any

# Seconds. Generous, for slow and busy machines; a wait ends as soon as its condition is true.
DEADLINE = 240


def until(
    condition: Callable[[], Any],
    *,
    every: float = 0.02,
    state: Callable[[], Any] = str,
) -> Any:
    """Wait until the condition is true and return its value; fail after the deadline, with the
    state reached by then."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"the condition did not become true in time {state()}"
        time.sleep(every)
    return value
