"""What a loop logs that never gives up: the first failure in full, then a line a minute, and the
end."""

import time
from collections.abc import Callable

import structlog

EVERY = 60.0


class Outage:
    """The failures of something that is tried again and again, and its end, logged as events of
    these two names."""

    def __init__(
        self,
        logger: structlog.stdlib.BoundLogger,
        failed: str,
        recovered: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._failed, self._recovered = logger, failed, recovered
        self._clock = clock
        self._failures = 0
        self._began = self._logged = 0.0

    def failed(self, problem: Exception, *, trace: bool = True) -> None:
        """Note a failure. ``trace``: log the first one with its traceback."""
        now = self._clock()
        self._failures += 1
        error = f"{type(problem).__name__}: {problem}".splitlines()[0]
        if self._failures == 1:
            self._began = self._logged = now
            self._log.warning(self._failed, error=error, exc_info=problem if trace else None)
        elif now - self._logged >= EVERY:
            self._logged = now
            self._log.warning(self._failed, error=error, failures=self._failures)

    def over(self) -> None:
        """Note a success."""
        if self._failures:
            seconds = round(self._clock() - self._began, 1)
            self._log.info(self._recovered, failures=self._failures, seconds=seconds)
        self._failures = 0
