"""Waiting for a condition."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found], *, seconds: float, every: float = 0.2) -> Found:
    """What ``look`` returns as soon as it is truthy, or its last result when the time is over."""
    end = time.monotonic() + seconds
    while not (result := look()) and time.monotonic() < end:
        time.sleep(every)
    return result
