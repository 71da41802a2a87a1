"""Turns: of the requests that a tenant may have at once, how many are handled at the same time."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.http.slots import TooManyAtOnce


class TenantTurns:
    """Handles ``at_once`` requests of each tenant at the same time; its others wait, first come
    first served, at most ``patience`` seconds. So a tenant that is busy is slow for itself."""

    def __init__(self, at_once: int, patience: float = 4.0) -> None:
        self._at_once, self._patience = at_once, patience
        self._running: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[threading.Event]] = defaultdict(deque)
        self._lock = threading.Lock()

    @contextmanager
    def take(self, tenant: str) -> Iterator[None]:
        """The tenant's turn. Raises TooManyAtOnce if it does not come."""
        turn = self._queue(tenant)
        if turn is not None and not turn.wait(self._patience) and self._leave(tenant, turn):
            raise TooManyAtOnce(retry_after=1)
        try:
            yield
        finally:
            self._pass_on(tenant)

    def _queue(self, tenant: str) -> threading.Event | None:
        """None if it is the request's turn already."""
        with self._lock:
            if self._running[tenant] < self._at_once:
                self._running[tenant] += 1
                return None
            turn = threading.Event()
            self._waiting[tenant].append(turn)
            return turn

    def _leave(self, tenant: str, turn: threading.Event) -> bool:
        """Stop waiting; False if the turn has come meanwhile."""
        with self._lock:
            if turn.is_set():
                return False
            self._waiting[tenant].remove(turn)
            return True

    def _pass_on(self, tenant: str) -> None:
        with self._lock:
            if self._waiting[tenant]:
                self._waiting[tenant].popleft().set()
                return
            del self._waiting[tenant]
            self._running[tenant] -= 1
            if not self._running[tenant]:
                del self._running[tenant]
