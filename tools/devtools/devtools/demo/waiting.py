"""Patience."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found], *, seconds: float, every: float = 0.2) -> Found:
    """What ``look`` answers as soon as it is something, else its last answer when the time is
    over."""
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(every)
    return found
