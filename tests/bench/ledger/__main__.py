"""``make bench-ledger``: what the ledger does in a second, beside what pgbench does on the same PostgreSQL.

Every row once, three times over; the median of the three. Only what is measured runs beside the
servers: no clock, no relay. Read the ratios: the clients run on the same cores."""

import statistics
import sys
import time

from tests.bench.ledger import rows
from tests.bench.ledger.place import Place, prepared

ROUNDS = 3


def main() -> None:
    began, wanted = time.monotonic(), sys.argv[1:]
    chosen = [row for row in rows.ROWS if not wanted or any(word in row.name for word in wanted)]
    with prepared() as place:
        print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        found: dict[str, list[tuple[float, float]]] = {row.name: [] for row in chosen}
        yardsticks, delays, missing = [], [], {}
        for number in range(ROUNDS):
            first = rows.tpcb(place)
            measured = {row.name: _measure(row, place, missing) for row in chosen}
            yardstick = (first + rows.tpcb(place)) / 2
            yardsticks.append(yardstick)
            for name, speed in measured.items():
                found[name].append((speed, speed / yardstick))
            delays.append([rows.latency(place, size) for size in (10**4, 10**6)])
            print(
                f"round {number + 1} of {ROUNDS}, {time.monotonic() - began:.0f} s: TPC-B {yardstick:,.0f}, "
                + ", ".join(f"{speed / yardstick:.2f}" for speed in measured.values()),
                flush=True,
            )
        _show(chosen, found, yardsticks, delays, missing)
        print(f"bytes per posting, indexes included: {place.bytes_per_row():.0f}")
    print(f"{time.monotonic() - began:.0f} s in all")


def _measure(row: rows.Row, place: Place, missing: dict[str, str]) -> float:
    try:
        return row.measure(place)
    except Exception as problem:  # a row that can't be measured says so and stops no other
        missing[row.name] = f"{type(problem).__name__}: {problem}"
        return float("nan")


def _show(
    chosen: list[rows.Row],
    found: dict[str, list[tuple[float, float]]],
    yardsticks: list[float],
    delays: list[list[float]],
    missing: dict[str, str],
) -> None:
    print(f"\n{'':44}{'per second':>12}{'x TPC-B':>9}{'aim':>6}   the three rounds")
    print(
        f"{'pgbench, TPC-B-like, 8 clients':44}{statistics.median(yardsticks):>12,.0f}{1:>9.2f}{'':>6}   "
        + " ".join(f"{yardstick:,.0f}" for yardstick in yardsticks)
    )
    for row in chosen:
        if row.name in missing:
            print(f"{row.name:44}  not measured: {missing[row.name][:300]}")
            continue
        speed, ratio = (statistics.median(column) for column in zip(*found[row.name], strict=True))
        aim = "" if row.aim is None else f"{row.aim:g}"
        short = "  short of it" if row.aim is not None and ratio < row.aim else ""
        print(
            f"{row.name:44}{speed:>12,.0f}{ratio:>9.2f}{aim:>6}   "
            + " ".join(f"{one:.2f}" for _, one in found[row.name])
            + short
        )
    small, large = (statistics.median(column) for column in zip(*delays, strict=True))
    growth = statistics.median(many / few for few, many in delays)
    print(
        f"single post, one client, p50: {small:.2f} ms at 10^4 rows of the journal, {large:.2f} ms at 10^6: "
        f"x {growth:.2f} (aim: at most 1.2)"
    )


if __name__ == "__main__":
    main()
