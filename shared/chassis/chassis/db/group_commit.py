"""Group commit: what concurrent threads of a process submit shares a transaction."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chassis.runtime import log

T = TypeVar("T")
R = TypeVar("R")
MOST = 64
_LOG = log.get("group_commit")


@dataclass(eq=False)
class _Member(Generic[T, R]):
    """``woken``: set when there is a result, or when it is this member's turn to run a group."""

    item: T
    woken: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False
    result: R | None = None
    problem: Exception | None = None


class GroupCommit(Generic[T, R]):
    """Runs what threads submit in groups, one group at a time.

    ``run`` gets the items of a group and returns a result for each. A thread that comes while no
    group runs does not wait for others; those that come meanwhile form the next group, so groups
    grow with the load. Each thread runs at most one group: its own.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R | None]],
        concerns_all: Callable[[Exception], bool] = lambda problem: False,
    ) -> None:
        """``concerns_all``: whether each member would meet the error on its own, too."""
        self._run, self._concerns_all = run, concerns_all
        self._lock = threading.Lock()
        self._waiting: deque[_Member[T, R]] = deque()
        self._is_running = False

    @property
    def waiting(self) -> int:
        """How many threads wait for the group that runs to end."""
        return len(self._waiting)

    def submit(self, item: T) -> R | None:
        """The result of this item; None if its group failed, or has none for it. Nothing of a group
        that failed is stored, unless it is unknown whether its commit succeeded. Raises an error
        that concerns all."""
        member: _Member[T, R] = _Member(item)
        with self._lock:
            self._waiting.append(member)
            is_first, self._is_running = not self._is_running, True
        if not is_first:
            member.woken.wait()
        if not member.is_done:
            self._lead()
        if member.problem is not None:
            raise member.problem
        return member.result

    def _lead(self) -> None:
        with self._lock:
            size = min(len(self._waiting), MOST)
            group = [self._waiting.popleft() for _ in range(size)]
        try:
            results = self._run([member.item for member in group])
            for member, result in zip(group, results, strict=True):
                member.result = result
        except Exception as problem:
            if self._concerns_all(problem):
                for member in group:
                    member.problem = problem
            else:
                _LOG.warning("group.failed", size=len(group), exc_info=True)
        finally:
            self._finish(group)

    def _finish(self, group: Sequence[_Member[T, R]]) -> None:
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._is_running = following is not None
        for member in group:
            member.is_done = True
            member.woken.set()
        if following is not None:
            following.woken.set()
