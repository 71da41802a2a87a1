"""Pauses between the attempts of a loop that never gives up."""

import threading
import time


class Backoff:
    """Pauses that double from ``first`` to ``longest`` seconds. After ``steady`` seconds without a
    failure they start again from ``first``; with 0, only ``reset`` does that."""

    def __init__(self, first: float, longest: float, *, steady: float = 0) -> None:
        self.first, self.longest, self.steady = first, longest, steady
        self.seconds = first
        self._last = time.monotonic()

    def reset(self) -> None:
        """An attempt has succeeded."""
        self.seconds = self.first

    def wait(self, stop: threading.Event) -> None:
        """Pause after a failure, or until told to stop."""
        if self.is_steady():
            self.reset()
        stop.wait(self.seconds)
        self.seconds = min(self.seconds * 2, self.longest)
        self._last = time.monotonic()

    def is_steady(self) -> bool:
        """Whether the last failure is long ago."""
        return self.steady > 0 and time.monotonic() - self._last > self.steady
