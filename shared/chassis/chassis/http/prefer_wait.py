"""``Prefer: wait=N``: delay the response until the outcome is known, without holding a database
session meanwhile."""

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from flask import request

MAX_SECONDS = 10
_FIRST_PAUSE, _LONGEST_PAUSE, _PAUSE_GROWTH = 0.01, 0.1, 1.5
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
T = TypeVar("T")


class Waiting:
    """At most ``capacity`` requests of a process wait at the same time; further ones get their
    response immediately."""

    def __init__(self, capacity: int) -> None:
        self._capacity = threading.BoundedSemaphore(max(1, capacity))

    def until(self, look: Callable[[], T | None]) -> T | None:
        """What ``look`` returns within the time the client is willing to wait, else None."""
        seconds = wanted_seconds()
        if not seconds or not self._capacity.acquire(blocking=False):
            return None
        try:
            return _poll(look, seconds)
        finally:
            self._capacity.release()


def wanted_seconds() -> int:
    """How long the client prefers to wait: 0 to 10 seconds."""
    preference = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(preference[1]), MAX_SECONDS) if preference else 0


def _poll(look: Callable[[], T | None], seconds: int) -> T | None:
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while time.monotonic() < deadline:
        outcome = look()
        if outcome is not None:
            return outcome
        time.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)
    return look()
