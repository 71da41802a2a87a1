"""``make bench-messages``: how many messages per second the listeners consume, next to kombu alone.

Real processes, a private PostgreSQL and a private RabbitMQ. Each row is measured ROUNDS times, by
turns, and the median counts. A measurement begins with BACKLOG messages that the relay has
published, and ends when they are consumed or after SECONDS. CPU shares are of one core, memory is
the peak of one listener. The drain is measured once, of DRAIN messages.

Then all roles run, and another process charges customers 50 times a second for LOAD seconds, while
it opens one customer and deletes an empty one every second: how long until org shows a charge, and
until a deletion is scheduled.

``ROWS=`` chooses rows by a part of their names. ``PROFILE=1`` prints instead which functions take
the time of one listener of org, ``PROFILE=billing`` of billing. Queues and processes are the
service's own, by ``declare_topology`` and the role ``listen``: for the result of an earlier commit,
such as the last one with a single inbox per service, check it out with ``git worktree add`` and run
the same command there."""

import os
import statistics
import sys
import time
from collections.abc import Sequence
from typing import TypeVar

from tests.bench.messages import backlogs, latency, profiled, rows
from tests.bench.messages.environment import Environment, started
from tests.bench.messages.listeners import Result
from tests.bench.messages.rows import Row, Sizes

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZES = Sizes(
    backlog=int(os.environ.get("BACKLOG", "12000")),
    seconds=float(os.environ.get("SECONDS", "10")),
    drained=int(os.environ.get("DRAIN", "100000")),
)
LOAD = float(os.environ.get("LOAD", "60"))
Named = TypeVar("Named", Row, latency.Row)
_BACKLOGS = {"org": backlogs.publish_balances, "billing": backlogs.publish_commands}


def main() -> None:
    began, missed = time.monotonic(), 0
    consuming, delays = _chosen(rows.ROWS), _chosen(latency.ROWS)
    with started() as servers:
        if service := os.environ.get("PROFILE"):
            _profile(Environment(servers), service)
            return
        if consuming:
            environment = Environment(servers)
            print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
            missed += _compare(environment, consuming)
            environment.clear()
        if delays:
            missed += latency.compare(servers, delays, LOAD)
    print(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(missed > 0)


def _chosen(among: Sequence[Named]) -> list[Named]:
    wanted = sys.argv[1:]
    return [row for row in among if not wanted or any(word in row.name for word in wanted)]


def _profile(environment: Environment, chosen: str) -> None:
    service = chosen if chosen in _BACKLOGS else "org"
    backlog = _BACKLOGS[service](environment, SIZES.backlog)
    result = profiled.profile(environment, service, backlog, SIZES.seconds)
    print(f"{result.rate:.0f} messages per second under the profiler")


def _compare(environment: Environment, chosen: Sequence[Row]) -> int:
    """Measure by turns and print the table; how many rows miss their target."""
    results: dict[str, list[Result]] = {row.name: [] for row in chosen}
    for number in range(1, ROUNDS + 1):
        measured = [row for row in chosen if number == ROUNDS or not row.once]
        for row in measured:
            results[row.name].append(row.measure(environment, SIZES))
        print(
            f"round {number} of {ROUNDS}, load average {os.getloadavg()[0]:.1f}: "
            + ", ".join(f"{results[row.name][-1].rate:,.0f}" for row in measured),
            flush=True,
        )
    print(
        f"\n{'':49}{'per second':>11}{'CPU: listeners':>16}{'PostgreSQL':>12}{'RabbitMQ':>10}"
        f"{'MB':>6}"
    )
    return sum(_show(row, results) for row in chosen)


def _show(row: Row, results: dict[str, list[Result]]) -> bool:
    measured = results[row.name]
    rate = statistics.median(result.rate for result in measured)
    megabytes = statistics.median(result.megabytes for result in measured)
    shares = {
        name: statistics.median(result.cpu[name] for result in measured) for name in measured[0].cpu
    }
    reached, verdict = _verdict(row, rate, results)
    missed = row.target is not None and not reached >= row.target
    print(
        f"{row.name:49}{rate:11,.0f}{shares['listeners']:16.0%}{shares['PostgreSQL']:12.0%}"
        f"{shares['RabbitMQ']:10.0%}{megabytes:6.0f}  {verdict}{'  MISSED' if missed else ''}",
        flush=True,
    )
    return missed


def _verdict(row: Row, rate: float, results: dict[str, list[Result]]) -> tuple[float, str]:
    """What is compared with the target, and how it is shown."""
    if row.once:
        whole = results[row.name][-1]
        return rate, f"{whole.consumed:,} in {whole.seconds:.0f} s"
    if row.target is None:
        return rate, ""
    if not row.relative_to:
        return rate, f"target {row.target:g}"
    pairs = zip(results[row.name], results.get(row.relative_to, []), strict=False)
    ratios = [result.rate / reference.rate for result, reference in pairs]
    ratio = statistics.median(ratios) if ratios else float("nan")
    return ratio, f"x {ratio:.2f}, target x {row.target:g}"


if __name__ == "__main__":
    main()
