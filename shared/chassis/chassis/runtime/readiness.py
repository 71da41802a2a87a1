"""Whether a role works: what its working threads, its database and its schema say about it.

A check is a function that raises if something does not work. Checks run in threads of their own,
each at most once at a time, so that one that hangs holds up neither the others nor a request.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from datetime import timedelta
from typing import Any

from chassis.errors import Unavailable
from chassis.runtime import clock, log
from chassis.runtime.outages import Outage

Check = Callable[[], None]
Clock = Callable[[], float]

# Seconds. A busy machine may take long; a thread that hangs takes longer.
MAX_SECONDS_WITHOUT_SUCCESS = 60.0
MAX_CHECK_SECONDS = 6.0
_LOG = log.get("readiness")


class NotReady(Exception):
    """Why something does not work, in words without secrets."""


class Progress:
    """The successes of a thread that does something again and again, as it notes them itself.
    ``limit``: seconds that may pass between two of them."""

    def __init__(
        self, limit: float = MAX_SECONDS_WITHOUT_SUCCESS, now: Clock = time.monotonic
    ) -> None:
        self._limit, self._now = limit, now
        self._last: float | None = None
        self._error = ""

    def succeeded(self) -> None:
        """Note a success, also of a turn in which there was nothing to do."""
        self._last, self._error = self._now(), ""

    def failed(self, problem: Exception) -> None:
        """Note a failure, as the reason if no success follows in time."""
        self._error = name_of(problem)

    def check(self) -> None:
        """Raise NotReady unless there was a success within the limit."""
        last = self._last
        seconds = 0.0 if last is None else self._now() - last
        if last is not None and seconds <= self._limit:
            return
        since = clock.now() - timedelta(seconds=seconds)
        when = "yet" if last is None else f"since {since.date()}T{since:%H:%M:%SZ}"
        raise NotReady(f"no success {when}" + (f": {self._error}" if self._error else ""))


class Readiness:
    """The outcome of checks, kept for some seconds (``keep``) if all is well, else for a tenth of
    that, so that a process is ready as soon as it has started. A check that takes longer than
    ``patience`` seconds has failed, and is not started again before it has ended."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        keep: float = 1.0,
        *,
        patience: float = MAX_CHECK_SECONDS,
        now: Clock = time.monotonic,
    ) -> None:
        self._checks, self._keep, self._patience, self._now = checks, keep, patience, now
        self._running: dict[str, Future[str]] = {}
        self._outages: dict[str, Outage] = {}
        self._outcome: dict[str, str] = {}
        self._until = float("-inf")
        self._lock = threading.Lock()

    def add(self, checks: Mapping[str, Check]) -> None:
        """Make these checks too from now on."""
        self._checks = {**self._checks, **checks}

    def outcome(self) -> Mapping[str, str]:
        """``ok`` or what is wrong, for each check. While one request waits for the checks, others
        get the outcome before."""
        if self._lock.acquire(blocking=not self._outcome):
            try:
                if self._now() >= self._until:
                    self._run()
                    is_well = all(result == "ok" for result in self._outcome.values())
                    self._until = self._now() + self._keep / (1 if is_well else 10)
            finally:
                self._lock.release()
        return self._outcome

    def _run(self) -> None:
        checks = self._checks
        fresh = {
            name: self._start(name, check)
            for name, check in checks.items()
            if name not in self._running
        }
        self._running |= fresh
        wait(fresh.values(), self._patience)
        self._outcome = {name: self._take(name) for name in checks}

    def _take(self, name: str) -> str:
        if not self._running[name].done():
            return f"no answer within {self._patience:.0f} s"
        return self._running.pop(name).result()

    def _start(self, name: str, check: Check) -> Future[str]:
        outage = self._outages.setdefault(name, Outage(_LOG.bind(check=name), "not_ready", "ready"))
        future: Future[str] = Future()

        def run() -> None:
            try:
                check()
            except Exception as problem:
                outage.failed(problem, trace=not isinstance(problem, NotReady | Unavailable))
                future.set_result(name_of(problem))
            else:
                outage.over()
                future.set_result("ok")

        threading.Thread(target=run, daemon=True).start()
        return future


def kept(check: Check, seconds: float, now: Clock = time.monotonic) -> Check:
    """The check, made again only when its last success is older than that. For checks that cost
    something."""
    until = float("-inf")

    def check_when_due() -> None:
        nonlocal until
        if now() >= until:
            check()
            until = now() + seconds

    return check_when_due


def report(
    checks: Mapping[str, str], others: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], int]:
    """The body and the status of ``/readyz``. ``others``: outcomes that do not count."""
    works = all(result == "ok" for result in checks.values())
    body = {"status": "ok" if works else "unavailable", "checks": dict(checks)}
    if others:
        body["others"] = dict(others)
    return body, 200 if works else 503


def name_of(problem: Exception) -> str:
    """What may be shown of an error: its kind, and its text only where that is ours."""
    if isinstance(problem, NotReady):
        return str(problem)
    return type(getattr(problem, "orig", None) or problem).__name__
