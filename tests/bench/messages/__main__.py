"""``make bench-messages``: how many messages per second the listeners consume, next to kombu alone.

Real processes, a private PostgreSQL and a private RabbitMQ. Each row is measured ROUNDS times, by
turns, and the median counts. A measurement begins with BACKLOG messages that the relay has
published, and ends when they are consumed or after SECONDS. CPU shares are of one core.

``ROWS=`` chooses rows by a part of their names. ``PROFILE=1`` prints instead which functions take
the time of one listener. Queues and processes are the service's own, by ``declare_topology`` and
the role ``listen``: for the result of an earlier commit, such as the last one with a single inbox
per service, check it out with ``git worktree add`` and run the same command there."""

import os
import statistics
import sys
import time

from tests.bench.messages import profiled, rows
from tests.bench.messages.environment import Environment, prepared
from tests.bench.messages.listeners import Result
from tests.bench.messages.rows import Row, Sizes

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZES = Sizes(int(os.environ.get("BACKLOG", "12000")), float(os.environ.get("SECONDS", "10")))


def main() -> None:
    began, wanted = time.monotonic(), sys.argv[1:]
    chosen = [row for row in rows.ROWS if not wanted or any(word in row.name for word in wanted)]
    with prepared() as environment:
        if os.environ.get("PROFILE"):
            _profile(environment)
            return
        missed = _compare(environment, chosen)
    print(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(missed > 0)


def _profile(environment: Environment) -> None:
    rows.publish_balances(environment, SIZES.backlog)
    result = profiled.profile(environment, "org", *SIZES)
    print(f"{result.rate:.0f} messages per second under the profiler")


def _compare(environment: Environment, chosen: list[Row]) -> int:
    """Measure by turns and print the table; how many rows miss their target."""
    results: dict[str, list[Result]] = {row.name: [] for row in chosen}
    for number in range(ROUNDS):
        for row in chosen:
            results[row.name].append(row.measure(environment, SIZES))
        print(
            f"round {number + 1} of {ROUNDS}, load average {os.getloadavg()[0]:.1f}: "
            + ", ".join(f"{results[row.name][-1].rate:,.0f}" for row in chosen),
            flush=True,
        )
    print(f"\n{'':48}{'per second':>11}{'CPU of listeners':>18}{'PostgreSQL':>12}{'RabbitMQ':>10}")
    return sum(_show(row, results) for row in chosen)


def _show(row: Row, results: dict[str, list[Result]]) -> bool:
    measured = results[row.name]
    rate = statistics.median(result.rate for result in measured)
    shares = {
        name: statistics.median(result.cpu[name] for result in measured) for name in measured[0].cpu
    }
    reached = rate
    if row.relative_to:
        reference = results.get(row.relative_to, [])
        pairs = zip(measured, reference, strict=False)
        ratios = [result.rate / other.rate for result, other in pairs]
        reached = statistics.median(ratios) if ratios else float("nan")
    missed = row.target is not None and not reached >= row.target
    print(
        f"{row.name:48}{rate:11,.0f}{shares['listeners']:18.0%}{shares['PostgreSQL']:12.0%}"
        f"{shares['RabbitMQ']:10.0%}  {_verdict(row, reached)}{'  MISSED' if missed else ''}",
        flush=True,
    )
    return missed


def _verdict(row: Row, reached: float) -> str:
    if row.target is None:
        return ""
    if row.relative_to:
        return f"x {reached:.2f}, target x {row.target:g}"
    return f"target {row.target:g}"


if __name__ == "__main__":
    main()
