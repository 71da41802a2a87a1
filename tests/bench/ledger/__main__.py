"""``make bench-ledger``: the throughput of the ledger, compared with pgbench on the same
PostgreSQL.

Every row is measured three times, and the median counts. Only the measured process and the servers
run: no jobs, no relay. Read the ratios, because the clients run on the same cores.
"""

import statistics
import sys
import time

from tests.bench.ledger import rows
from tests.bench.ledger.environment import Environment, prepared

ROUNDS = 3


def main() -> None:
    began, wanted = time.monotonic(), sys.argv[1:]
    chosen = [row for row in rows.ROWS if not wanted or any(word in row.name for word in wanted)]
    with prepared() as environment:
        print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        results: dict[str, list[tuple[float, float]]] = {row.name: [] for row in chosen}
        yardsticks, delays, missing = [], [], {}
        for number in range(ROUNDS):
            first = rows.tpcb(environment)
            measured = {row.name: _measure(row, environment, missing) for row in chosen}
            yardstick = (first + rows.tpcb(environment)) / 2
            yardsticks.append(yardstick)
            for name, speed in measured.items():
                results[name].append((speed, speed / yardstick))
            delays.append([rows.latency(environment, size) for size in (10**4, 10**6)])
            print(
                f"round {number + 1} of {ROUNDS}, {time.monotonic() - began:.0f} s: TPC-B"
                f" {yardstick:,.0f}, "
                + ", ".join(f"{speed / yardstick:.2f}" for speed in measured.values()),
                flush=True,
            )
        _show(chosen, results, yardsticks, delays, missing)
        print(f"bytes per posting, indexes included: {environment.bytes_per_row():.0f}")
    print(f"{time.monotonic() - began:.0f} s in all")


def _measure(row: rows.Row, environment: Environment, missing: dict[str, str]) -> float:
    try:
        return row.measure(environment)
    # A row that cannot be measured is reported and does not stop the others.
    except Exception as problem:
        missing[row.name] = f"{type(problem).__name__}: {problem}"
        return float("nan")


def _show(
    chosen: list[rows.Row],
    results: dict[str, list[tuple[float, float]]],
    yardsticks: list[float],
    delays: list[list[float]],
    missing: dict[str, str],
) -> None:
    print(f"\n{'':44}{'per second':>12}{'x TPC-B':>9}{'target':>8}   the three rounds")
    print(
        f"{'pgbench, TPC-B-like, 8 clients':44}{statistics.median(yardsticks):>12,.0f}{1:>9.2f}"
        + " " * 11
        + " ".join(f"{yardstick:,.0f}" for yardstick in yardsticks)
    )
    for row in chosen:
        if row.name in missing:
            print(f"{row.name:44}  not measured: {missing[row.name][:300]}")
            continue
        speed, ratio = (
            statistics.median(column) for column in zip(*results[row.name], strict=True)
        )
        target = "" if row.target is None else f"{row.target:g}"
        short = "  below target" if row.target is not None and ratio < row.target else ""
        print(
            f"{row.name:44}{speed:>12,.0f}{ratio:>9.2f}{target:>8}   "
            + " ".join(f"{ratio:.2f}" for _, ratio in results[row.name])
            + short
        )
    small, large = (statistics.median(column) for column in zip(*delays, strict=True))
    growth = statistics.median(many / few for few, many in delays)
    print(
        f"single post, one client, p50: {small:.2f} ms at 10^4 rows of the journal, {large:.2f} ms"
        f" at 10^6: x {growth:.2f} (target: at most 1.2)"
    )


if __name__ == "__main__":
    main()
