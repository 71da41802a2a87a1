"""Turns at the one writer of SQLite: requests go before background work, which still gets its turn.

In embedded mode both run in threads of one process, which share a processor core. So background
work also pauses between its transactions while there are requests.
"""

from collections import deque
from threading import Event, Lock, local
from time import monotonic, sleep, thread_time

# Transactions of requests that may go before one of background work that waits.
MAX_REQUESTS_AHEAD = 5
# Seconds after a request in which background work leaves most of the processor to others, and
# how long it pauses at most for a second, and in all, of what it used.
RECENT_SECONDS, PAUSE_PER_SECOND, LONGEST_PAUSE = 0.02, 3.0, 0.1
# The same for what is done again and again: how long it rests for each second that it took.
REST_PER_SECOND, LONGEST_REST = 20.0, 1.0

_thread = local()
_pausing = Lock()
_last_request = float("-inf")


def note_request() -> None:
    """A request has come, which this thread serves: a thread of a pool that serves only those."""
    global _last_request  # noqa: PLW0603 - there is one processor to share
    _thread.serves_requests = True
    _last_request = monotonic()


def serves_requests() -> bool:
    """Whether this thread serves requests."""
    return getattr(_thread, "serves_requests", False)


def rest_after(seconds: float) -> float:
    """The seconds for which what is done again and again, and took so long, is to rest: what
    gathers meanwhile is done at once. None unless there are requests."""
    return min(seconds * REST_PER_SECOND, LONGEST_REST) if _are_requests() else 0.0


def _are_requests() -> bool:
    return monotonic() - _last_request < RECENT_SECONDS


class WriterLock:
    """A lock that threads get in the order in which they came, those that serve requests first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_taken = False
        self._requests: deque[Event] = deque()
        self._others: deque[Event] = deque()
        self._requests_ahead = 0

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._requests) + len(self._others)

    def __enter__(self) -> None:
        queue = self._requests if serves_requests() else self._others
        turn = Event()
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            queue.append(turn)
        try:
            turn.wait()
        except BaseException:
            self._leave(queue, turn)
            raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._pass_on()
        if not serves_requests():
            _pause()

    def _leave(self, queue: deque[Event], turn: Event) -> None:
        with self._lock:
            if turn in queue:
                queue.remove(turn)
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        following = self._next()
        self._is_taken = following is not None
        if following is not None:
            following.set()

    def _next(self) -> Event | None:
        if self._requests and (not self._others or self._requests_ahead < MAX_REQUESTS_AHEAD):
            self._requests_ahead += 1 if self._others else 0
            return self._requests.popleft()
        self._requests_ahead = 0
        return self._others.popleft() if self._others else None


def _pause() -> None:
    """Leave the processor to requests, if there are any, for longer than this thread has used it
    since its last pause. Threads pause one after the other: all of them together are one share.
    One that would have to wait for longer than a pause goes on, and pauses for that next time."""
    used = thread_time() - getattr(_thread, "used", 0.0)
    if _are_requests():
        if not _pausing.acquire(timeout=LONGEST_PAUSE):
            return
        try:
            if _are_requests():
                sleep(min(used * PAUSE_PER_SECOND, LONGEST_PAUSE))
        finally:
            _pausing.release()
    _thread.used = thread_time()
