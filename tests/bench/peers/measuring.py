"""One measurement: requests to a web server for some seconds, and the processor time they take."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devtools.servers import Postgres, processes

from tests.bench.ledger import load

SECONDS = float(os.environ.get("DURATION", "10"))
WARM_UP = 5.0
_BUSY = """SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()"""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Requests:
    """What wrk sends. ``pid``: of the web server; ``items``: the amounts that a request posts, 0 if
    it only reads; ``posted``: how many amounts the ledger has."""

    pid: int
    address: str
    script: Path
    arguments: list[str]
    items: int
    posted: Callable[[], int]


class Side(Protocol):
    """A ledger behind a web server, and the requests that are measured. ``databases``: the names of
    what it keeps its data in."""

    databases: list[str]

    def posted(self) -> int:
        """How many amounts the ledger has."""

    def charge(self) -> Requests:
        """Requests that post one amount to an account."""

    def records(self, size: int) -> Requests:
        """Requests that post this many amounts to as many accounts."""

    def account(self) -> Requests:
        """Requests for an account's balance."""

    def page(self) -> Requests:
        """Requests for the first 50 accounts with their balances."""


@dataclass(frozen=True)
class Measured:
    """``speed``: amounts, or requests that only read, per second; ``web`` and ``database``:
    milliseconds of processor time a request."""

    speed: float
    web: float
    database: float


def measure(requests: Requests, postgres: Postgres, clients: int, seconds: float) -> Measured:
    """Raises RuntimeError if there is no response, a request is refused or an amount is missing."""
    assert postgres.process is not None
    pids, posted = (requests.pid, postgres.process.pid), requests.posted()
    before = [processor_time(pid) for pid in pids]
    answered = load.wrk(
        requests.script, requests.address, clients, requests.arguments, seconds=seconds
    )
    _await_rest(requests.pid, postgres)
    took = [processor_time(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
    handled = float(answered.requests)
    if requests.items:  # requests that wrk no longer waited for count, too
        handled = (requests.posted() - posted) / requests.items
    if handled < answered.requests:
        raise RuntimeError(f"{answered.requests} requests posted the amounts of {handled:g}")
    if not answered.requests:
        raise RuntimeError(f"no response within {seconds:g} s: choose a longer DURATION")
    web, database = (each * 1000 / handled for each in took)
    return Measured(answered.per_second * max(requests.items, 1), web, database)


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process and all below it, those that have ended included."""
    return sum(map(_ticks, processes.family(pid))) / _TICKS


def _ticks(pid: int) -> int:
    """User and system time of the process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:15])


def _await_rest(pid: int, postgres: Postgres) -> None:
    """Wait until the web server has handled the requests that wrk left behind."""
    before, now = -1.0, processor_time(pid)
    while now - before > 0.02 or postgres.execute(_BUSY):
        time.sleep(0.3)
        before, now = now, processor_time(pid)
