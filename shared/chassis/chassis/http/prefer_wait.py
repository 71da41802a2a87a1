"""``Prefer: wait=N``: delay the response until the outcome is known, without holding a database
session meanwhile."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from flask import g, request

from chassis.auth.callers import Caller
from chassis.http.slots import Busy, Slots, TooManyAtOnce

MAX_SECONDS = 10
_FIRST_PAUSE, _LONGEST_PAUSE, _PAUSE_GROWTH = 0.01, 0.1, 1.5
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
T = TypeVar("T")


class Waiting:
    """At most ``capacity`` requests of a process wait at the same time, those of one tenant fewer;
    further ones get their response immediately."""

    def __init__(self, capacity: int) -> None:
        total = max(1, capacity)
        self._slots = Slots(total)
        self._tenant = max(1, total // 2)
        # All of a provider's people and keys together.
        self._provider = max(1, total * 3 // 4)

    def until(self, look: Callable[[], T | None]) -> T | None:
        """What ``look`` returns within the time the client is willing to wait, else None."""
        seconds = wanted_seconds()
        if not seconds:
            return None
        try:
            slot = self._slots.take(self._shares())
        except (TooManyAtOnce, Busy):
            return None
        with slot:
            return _poll(look, seconds)

    def _shares(self) -> dict[str, int]:
        caller: Caller | None = g.get("caller")
        if caller is None:
            return {}
        share = self._provider if caller.is_staff else self._tenant
        return {caller.organization_id: share}


def wanted_seconds() -> int:
    """How long the client prefers to wait: 0 to 10 seconds."""
    return seconds_in(request.headers.get("Prefer", ""))


def seconds_in(prefer: str) -> int:
    """How long this header says that the client prefers to wait: 0 to 10 seconds."""
    preference = _WAIT.search(prefer)
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
