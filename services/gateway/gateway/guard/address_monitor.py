"""Notices that all clients have one address, as they do behind a proxy that is not trusted."""

import threading
import time
from collections.abc import Callable

from chassis.runtime import log

_LOG = log.get("gateway")
_WINDOW = 600
_PERSONS = 5


class AddressMonitor:
    """Warns when all requests of ten minutes, by at least five persons or API keys, came from one
    address. Limits per address then affect everyone at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._start(clock())

    def note(self, address: str, person: str = "") -> None:
        """Take notice of a request; ``person``: the subject of its token, if it has one."""
        with self._lock:
            now = self._clock()
            if now - self._since >= _WINDOW:
                self._warn()
                self._start(now)
            if len(self._addresses) < 2:
                self._addresses.add(address)
            if person and len(self._persons) < _PERSONS:
                self._persons.add(person)

    def _start(self, now: float) -> None:
        self._since = now
        self._addresses: set[str] = set()
        self._persons: set[str] = set()

    def _warn(self) -> None:
        if len(self._addresses) == 1 and len(self._persons) == _PERSONS:
            _LOG.warning("clients.one_address", client=next(iter(self._addresses)))
