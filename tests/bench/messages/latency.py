"""The measurements of latency: how soon one service shows what was done in another, under load."""

import multiprocessing
import os
from collections.abc import Sequence
from typing import NamedTuple

from devtools.processes import NAMES, ROLES, until

from tests.bench.messages import load
from tests.bench.messages.environment import Servers
from tests.bench.messages.observer import NOTE_CHANGES

RATE = 50.0
_PREPARED = 300


class Row(NamedTuple):
    """``target``: seconds that 95 % may take at most; ``figures``: the field of ``Figures``."""

    name: str
    figures: str
    target: float


ROWS: tuple[Row, ...] = (
    Row("lag: from the 201 of a charge to org showing it", "lags", 0.5),
    Row("deletion: from DELETE to scheduled", "deletions", 1.0),
)


def compare(servers: Servers, chosen: Sequence[Row], seconds: float) -> int:
    """Run the load once and print the chosen rows; how many miss their target."""
    figures = _measure(servers, seconds)
    unlike = {what: n for what, n in figures.statuses.items() if not what.endswith(("201", "202"))}
    print(
        f"\n{sum(figures.statuses.values()) / figures.seconds:.1f} requests per second for"
        f" {figures.seconds:.0f} s, load average {os.getloadavg()[0]:.1f}: "
        + ", ".join(f"{what}: {times}" for what, times in sorted(figures.statuses.items()))
        + f"\n{'':49}{'count':>11}{'p50, s':>10}{'p95, s':>10}"
    )
    return sum(_show(row, sorted(getattr(figures, row.figures))) for row in chosen) + bool(unlike)


def _show(row: Row, took: list[float]) -> bool:
    half, most = (took[int(len(took) * part)] if took else float("nan") for part in (0.5, 0.95))
    missed = not most <= row.target
    print(
        f"{row.name:49}{len(took):11,}{half:10.2f}{most:10.2f}  target p95 {row.target:g}"
        f"{'  MISSED' if missed else ''}",
        flush=True,
    )
    return missed


def _measure(servers: Servers, seconds: float) -> load.Figures:
    """All roles of all services without gateway and console."""
    system = servers.system("latency")
    database = system.database_url("org").rpartition("/")[2]
    servers.postgres.psql(f"\\connect {database}\n{NOTE_CHANGES}")
    target = load.Target(
        org=system.url_of("org"),
        billing=system.url_of("billing"),
        membership=system.url_of("membership"),
        password=system.password,
        database=system.database_url("org"),
    )
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    process = spawn.Process(target=load.run, args=(target, RATE, seconds, results), daemon=True)
    try:
        system.start([f"{service}-{role}" for service in NAMES for role in ROLES])
        process.start()
        limit = _PREPARED + seconds + load.LOST
        until(lambda: not (results.empty() and process.is_alive()), limit, "the load took too long")
        figures: load.Figures = results.get(timeout=1)  # nothing comes if the process has failed
        return figures
    finally:
        process.kill()
        system.stop()
