"""Listener processes of a service, what they have consumed, and the processor time it took."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from chassis.messaging.inbox_models import DeadLetter, InboxRow, WaitingMessage
from devtools.servers import processes
from sqlalchemy import func, select

from tests.bench.messages.environment import Environment

# Seconds: longer than a listener needs to start, and between two looks at what is consumed.
STARTED, POLL = 120.0, 0.1
# Measuring begins so many seconds after the first message, or with this part of the backlog: until
# then statements are prepared, caches filled and the queues divided among the listeners.
WARM_UP, WARM_UP_PART = 3.0, 0.25
_TICK = os.sysconf("SC_CLK_TCK")


class Result(NamedTuple):
    """``cpu``: shares of one core; ``megabytes``: the peak of a listener's memory."""

    rate: float
    cpu: Mapping[str, float]
    consumed: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0


class _Sample(NamedTuple):
    at: float
    consumed: int
    cpu: Mapping[str, float]


def consume(
    environment: Environment,
    service: str,
    processes_: int,
    backlog: int,
    seconds: float,
    count: Callable[[], int] | None = None,
) -> Result:
    """Consume the backlog with that many listener processes, for that many seconds at most.
    ``count``: how many messages have been consumed since the environment was cleared."""
    consumed = count or (lambda: inbox_rows(environment, service))
    with running(environment, service, processes_) as listeners:
        pids = [listener.pid for listener in listeners]
        result = measure(environment, pids, consumed, backlog, seconds)
    if failed := _failed(environment, service):
        raise RuntimeError(f"{failed} messages were not applied")
    return result


def measure(
    environment: Environment,
    pids: Sequence[int],
    count: Callable[[], int],
    backlog: int,
    seconds: float,
) -> Result:
    """What these processes consume of the backlog, after the first messages of it."""

    def sample() -> _Sample:
        for pid in pids:
            if not alive(pid):
                raise RuntimeError("a listener has ended")
        return _Sample(time.monotonic(), count(), cpu_times(environment, pids))

    first = _warm_up(sample, backlog)
    last = first
    while last.consumed < backlog and last.at < first.at + seconds:
        time.sleep(POLL)
        last = sample()
    elapsed, consumed = last.at - first.at, last.consumed - first.consumed
    return Result(
        rate=consumed / elapsed,
        cpu={name: (last.cpu[name] - first.cpu[name]) / elapsed for name in last.cpu},
        consumed=consumed,
        seconds=elapsed,
        megabytes=max(peak_memory(pid) for pid in pids),
    )


def _warm_up(sample: Callable[[], _Sample], backlog: int) -> _Sample:
    """The first sample that counts."""
    began = time.monotonic()
    while not (latest := sample()).consumed:
        if latest.at > began + STARTED:
            raise TimeoutError("nothing was consumed")
        time.sleep(0.02)
    began = latest.at
    while latest.at < began + WARM_UP and latest.consumed < WARM_UP_PART * backlog:
        time.sleep(0.02)
        latest = sample()
    return latest


@contextmanager
def running(
    environment: Environment, service: str, count: int
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes with the service's role ``listen``."""
    variables = environment.system.environment(service, "listen") | {"HEALTH_PORT": "0"}
    log = environment.system.folder / f"{service}-listen.log"
    listeners: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            with log.open("ab") as output:
                listeners.append(
                    subprocess.Popen(
                        [sys.executable, "-m", service, "listen"],
                        env=variables,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        process_group=0,
                    )
                )
        yield listeners
    finally:
        for listener in listeners:
            listener.terminate()
        for listener in listeners:
            try:
                listener.wait(30)
            except subprocess.TimeoutExpired:
                processes.kill(listener)


def inbox_rows(environment: Environment, service: str) -> int:
    """How many messages the service has applied."""
    with environment.databases[service].reading() as session:
        return session.scalars(select(func.count()).select_from(InboxRow)).one()


def _failed(environment: Environment, service: str) -> int:
    with environment.databases[service].reading() as session:
        tables = (DeadLetter, WaitingMessage)
        return sum(session.scalars(select(func.count()).select_from(t)).one() for t in tables)


def cpu_times(environment: Environment, pids: Sequence[int]) -> dict[str, float]:
    """Seconds of processor time so far: of these processes, of PostgreSQL with all its backends,
    and of RabbitMQ."""
    postgres, rabbitmq = environment.postgres.process, environment.rabbitmq.process
    assert postgres is not None
    assert rabbitmq is not None
    return {
        "listeners": sum(map(_cpu_time, pids)),
        "PostgreSQL": sum(map(_cpu_time, processes.family(postgres.pid))),
        "RabbitMQ": sum(map(_cpu_time, processes.family(rabbitmq.pid))),
    }


def peak_memory(pid: int) -> float:
    """The most memory that the process has had resident, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def alive(pid: int) -> bool:
    """Whether the process runs, and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _cpu_time(pid: int) -> float:
    """User and system time, with that of children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICK
