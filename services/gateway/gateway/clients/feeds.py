"""Following a service's feed of revocations."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from chassis.errors import Unavailable
from chassis.http.client import InternalClient
from chassis.runtime import log

# Without a request for this many pauses the feed is read less often.
_PAUSES_UNTIL_REST = 10
# Seconds for which a request waits until the feed has been read: as long as that may take.
_PATIENCE = 3.0
_LOG = log.get("feeds")


class Feed:
    """Follows one service's feed. ``learn`` receives every entry, some of them more than once.

    ``silence``: seconds without a response after which the feed counts as stale; ``pause``:
    seconds between two looks while there are requests; ``name``: the service.

    While there are none it is read just often enough not to become stale, and again before the
    next request is admitted."""

    def __init__(
        self,
        client: InternalClient,
        learn: Callable[[Mapping[str, Any]], None],
        *,
        silence: float,
        pause: float,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._learn, self._clock = client, learn, clock
        self._silence, self._pause, self.name = silence, pause, name
        self._position = 0
        self._complete_at = self._asked_at = float("-inf")
        self._loaded, self._current = threading.Event(), threading.Event()
        self._wanted = threading.Event()
        self._started = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Follow the feed in a thread of this process; does nothing when it already does."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._follow, daemon=True, name="feed").start()

    def stop(self) -> None:
        """Stop following."""
        self._stopped.set()
        self._wanted.set()

    def is_fresh(self) -> bool:
        """Whether everything has been loaded and the service has responded lately. Waits up to a
        second for the first load."""
        return self._loaded.wait(1.0) and self._clock() - self._complete_at <= self._silence

    def ask(self) -> None:
        """There is a request: have the feed read again if it rests."""
        self._asked_at = self._clock()
        if not self._current.is_set():
            self._wanted.set()

    def check_current(self) -> None:
        """As ``check``, after ``ask``: waits until the feed has been read again, or that failed."""
        if not self._current.is_set():
            self._wanted.set()  # it may have begun to rest since then
            self._current.wait(_PATIENCE)
        self.check()

    def check(self) -> None:
        """Raises Unavailable when the feed is stale."""
        if not self.is_fresh():
            raise Unavailable(
                "Sessions cannot be checked at the moment. Try again.",
                code="service_unavailable",
                retry_after=2,
            )

    def poll(self) -> None:
        """Read the feed to its end. Raises Unavailable."""
        began_at = self._clock()
        while self._read_page():
            pass
        self._complete_at = began_at
        self._current.set()
        self._loaded.set()

    def _read_page(self) -> bool:
        """Read one page; whether there may be another."""
        page = self._client.get(f"/internal/revocations?after={self._position}")
        for entry in page["entries"]:
            self._learn(entry)
        before, last = self._position, int(page["last"])
        if last < before:  # the service's numbers start over, so does our position
            self._position = 0
            return True
        reached = max((int(entry["seq"]) for entry in page["entries"]), default=last)
        self._position = max(reached, before)
        return before < self._position < last

    def _follow(self) -> None:
        is_silent = False
        while not self._stopped.is_set():
            try:
                self.poll()
                is_silent = False
            except Exception as problem:
                if not is_silent:
                    _LOG.warning("feed.unavailable", problem=type(problem).__name__)
                is_silent = True
            self._current.set()
            self._wait()

    def _wait(self) -> None:
        """Until the next look: a pause while there are requests, otherwise until there is one."""
        if self._clock() - self._asked_at < _PAUSES_UNTIL_REST * self._pause:
            self._stopped.wait(self._pause)
            return
        self._current.clear()
        self._wanted.wait(max(self._pause, self._silence / 3))
        self._wanted.clear()
