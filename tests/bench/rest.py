"""``make bench-rest``: what all processes of the distributed mode take while nobody does anything.

Real processes, a private PostgreSQL and a private RabbitMQ, which are not counted. The health check
of each container runs as often as in its image. ``WORKERS``: processes of each web role but the
gateway and downloads, two as with Docker Compose; ``DURATION``: for how many seconds."""

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from devtools.processes import System, until
from devtools.servers import Postgres, RabbitMQ

from tests.deploy.compose.image import environment, is_healthy

SECONDS = float(os.environ.get("DURATION", "120"))
WORKERS = os.environ.get("WORKERS", "2")
SETTLED, CHECKED_EVERY = 60.0, 10.0
TARGET_CPU, TARGET_PSS = 5.0, 1200.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Taken:
    """Seconds of processor time and megabytes (PSS) of these processes."""

    seconds: float
    megabytes: float
    processes: int


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="clientele-bench-"))
    try:
        with Postgres() as postgres, RabbitMQ() as rabbitmq:
            system = System(postgres, rabbitmq, folder, settings={}, downloads=True)
            try:
                system.prepare()
                several = [name for name in system.names if name.endswith("-web")]
                several.remove("gateway-web")
                names = ("MALLOC_MMAP_THRESHOLD_", "PYTHONTZPATH")
                like_image = {
                    "PYTHONPATH": str(_without_tools(folder)),
                    **{name: environment()[name] for name in names},
                }
                system.start(several, WEB_WORKERS=WORKERS, **like_image)
                system.start(set(system.names) - {*several}, **like_image)
                system.await_ready()
                until(lambda: not _unhealthy(system), 120, "a role is not ready")
                time.sleep(SETTLED)
                missed = _measure(system)
            finally:
                system.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(missed)


def _without_tools(folder: Path) -> Path:
    """Hides a library that our tools need and the images do not have: structlog would load it."""
    hiding = folder / "hiding"
    hiding.mkdir()
    (hiding / "rich.py").write_text('raise ImportError("not in the images")\n')
    return hiding


def _measure(system: System) -> bool:
    names = sorted(system.names)
    before = {name: _taken(_tree(system.pid(name))) for name in names}
    began, shells = time.monotonic(), _seconds_of_shells()
    while (left := began + SECONDS - time.monotonic()) > 0:
        time.sleep(min(left, CHECKED_EVERY))
        if sick := _unhealthy(system):
            raise RuntimeError(f"not ready at rest: {', '.join(sick)}")
    took = time.monotonic() - began
    after = {name: _taken(_tree(system.pid(name))) for name in names}
    print(
        f"\n{len(names)} roles at rest for {took:.0f} s, {WORKERS} workers, load average"
        f" {os.getloadavg()[0]:.1f}\n\n{'process':32}{'processes':>10}{'CPU %':>8}{'PSS MB':>8}"
    )
    for name in names:
        _row(name, after[name], (after[name].seconds - before[name].seconds) / took)
    checks = (_seconds_of_shells() - shells) / took
    _row("health checks", Taken(0, 0, 0), checks)
    cpu = sum(after[name].seconds - before[name].seconds for name in names) / took + checks
    megabytes = sum(after[name].megabytes for name in names)
    _row("all", Taken(0, megabytes, sum(after[name].processes for name in names)), cpu)
    print(f"\naim: less than {TARGET_CPU:g} % of a core and {TARGET_PSS:g} MB")
    return cpu * 100 >= TARGET_CPU or megabytes >= TARGET_PSS


def _row(name: str, taken: Taken, cpu: float) -> None:
    print(f"{name:32}{taken.processes:>10}{cpu * 100:>8.2f}{taken.megabytes:>8.1f}", flush=True)


def _unhealthy(system: System) -> list[str]:
    return [name for name in system.names if not is_healthy(system.readiness_file(name))]


def _tree(pid: int) -> list[int]:
    """The process and those that it started."""
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _stat(int(entry.name))[1:2] == [str(pid)]
    ]
    return [pid, *(each for child in children for each in _tree(child))]


def _taken(pids: Iterable[int]) -> Taken:
    pids = list(pids)
    ticks = sum(int(field) for pid in pids for field in _stat(pid)[11:13])
    return Taken(ticks / _TICKS, sum(_pss(pid) for pid in pids) / 1024, len(pids))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def _seconds_of_shells() -> float:
    """Processor time of the children of this process that have ended: the health checks."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
