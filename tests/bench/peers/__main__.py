"""``make bench-peers``: the HTTP requests of the ledger next to django-hordak, a plain Django
ledger, on the same PostgreSQL.

Each side serves with two processes of eight threads. In every round each row is measured on one
side right after the other, the one first that came second before; the median of the rounds counts.
hordak's views check no token, no key and no limit, and its balance is the sum of an account's
postings, so reading takes it longer the more there are. Read the ratios, because wrk runs on the
same cores. ``DURATION``: seconds of a measurement."""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from devtools.servers import Postgres

from tests.bench.ledger.environment import started
from tests.bench.peers.hordak import Hordak
from tests.bench.peers.measuring import SECONDS, WARM_UP, Measured, Side, measure
from tests.bench.peers.ours import ROLES, Ours
from tests.bench.peers.rows import ACCOUNTS, ROWS, Row

ROUNDS = 3
OURS, PEER = "ours", "hordak"


class Bench:
    """Both sides, and the PostgreSQL that they share."""

    def __init__(self, sides: dict[str, Side], postgres: Postgres) -> None:
        self._sides, self._postgres = sides, postgres

    def round(self, row: Row, order: list[str], seconds: float = SECONDS) -> dict[str, Measured]:
        """Measure a row on one side after the other."""
        return {
            name: measure(row.requests(self._sides[name]), self._postgres, row.clients, seconds)
            for name in order
        }

    def analyze(self) -> None:
        """Collect statistics, so that no connection keeps a plan from when tables were empty."""
        for side in self._sides.values():
            for name in side.databases:
                self._postgres.psql(f"\\connect {name}\nVACUUM ANALYZE;")

    def postings(self) -> str:
        """How many amounts an account has got on each side."""
        counts = {name: side.posted() / ACCOUNTS for name, side in self._sides.items()}
        return ", ".join(f"{name} {count:.0f}" for name, count in counts.items())


def main() -> None:
    began, wanted = time.monotonic(), sys.argv[1:]
    chosen = [row for row in ROWS if not wanted or any(word in row.name for word in wanted)]
    order = [OURS, PEER]
    results: dict[str, list[dict[str, Measured]]] = {row.name: [] for row in chosen}
    with _prepared() as bench:
        for row in chosen:
            bench.round(row, order, WARM_UP)
            bench.analyze()
        print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        for number in range(ROUNDS):
            for row in chosen:
                results[row.name].append(bench.round(row, order))
            order.reverse()
            bench.analyze()
            ratios = ", ".join(f"{_ratio(results[row.name][-1]):.2f}" for row in chosen)
            print(
                f"round {number + 1} of {ROUNDS}, {time.monotonic() - began:.0f} s: {ratios}",
                flush=True,
            )
        _show(results)
        print(f"\namounts posted to an account in the end: {bench.postings()}")
    print(f"{time.monotonic() - began:.0f} s in all")


@contextmanager
def _prepared() -> Iterator[Bench]:
    """Both sides serve; everything is removed afterwards."""
    with started(ROLES) as (postgres, system, folder):
        ours, hordak = Ours(system, folder, ACCOUNTS), Hordak(postgres, folder, ACCOUNTS)
        with hordak.serving():
            bench = Bench({OURS: ours, PEER: hordak}, postgres)
            bench.analyze()
            yield bench


def _ratio(measured: dict[str, Measured]) -> float:
    return measured[OURS].speed / measured[PEER].speed


def _show(results: dict[str, list[dict[str, Measured]]]) -> None:
    print(
        f"\n{'':24}{'per second':^18}{'':7}{'':22}{'CPU ms a request: web + PostgreSQL':^36}\n"
        f"{'':24}{OURS:>9}{PEER:>9}{'ratio':>7}   {'the rounds':19}{OURS:>18}{PEER:>18}"
    )
    for name, rounds in results.items():
        speeds = [statistics.median(each[side].speed for each in rounds) for side in (OURS, PEER)]
        ratios = [_ratio(each) for each in rounds]
        print(
            f"{name:24}{speeds[0]:>9,.0f}{speeds[1]:>9,.0f}{statistics.median(ratios):>7.2f}   "
            f"{' '.join(f'{ratio:.2f}' for ratio in ratios):19}"
            f"{_cpu(rounds, OURS):>18}{_cpu(rounds, PEER):>18}"
        )


def _cpu(rounds: list[dict[str, Measured]], side: str) -> str:
    web = statistics.median(each[side].web for each in rounds)
    database = statistics.median(each[side].database for each in rounds)
    return f"{web:.2f} + {database:.2f}"


if __name__ == "__main__":
    main()
