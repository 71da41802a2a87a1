"""``Prefer: wait=N``: hold the answer until the outcome is known, holding no database session meanwhile."""

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from flask import request

LONGEST = 10
T = TypeVar("T")


class Waiting:
    """At most ``seats`` requests of a process wait at once; beyond that the answer comes at
    once."""

    def __init__(self, seats: int) -> None:
        self._seats = threading.BoundedSemaphore(max(1, seats))

    def until(self, look: Callable[[], T | None]) -> T | None:
        """What ``look`` finds within the time the caller is willing to wait, else None."""
        seconds = wanted_seconds()
        if not seconds or not self._seats.acquire(blocking=False):
            return None
        try:
            return _poll(look, seconds)
        finally:
            self._seats.release()


def wanted_seconds() -> int:
    """How long the caller prefers to wait: 0 to 10 seconds."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])", request.headers.get("Prefer", ""))
    return min(int(found[1]), LONGEST) if found else 0


def _poll(look: Callable[[], T | None], seconds: int) -> T | None:
    deadline, pause = time.monotonic() + seconds, 0.01
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return look()
