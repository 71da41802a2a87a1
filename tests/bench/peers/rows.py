"""The measurements: one row of the table each."""

from collections.abc import Callable
from typing import NamedTuple

from tests.bench.peers.measuring import Requests, Side

ACCOUNTS = 10_000


class Row(NamedTuple):
    """``requests``: those to a side that are compared."""

    name: str
    clients: int
    requests: Callable[[Side], Requests]


ROWS: tuple[Row, ...] = (
    Row("one charge a request", 8, lambda side: side.charge()),
    Row("20 records a request", 4, lambda side: side.records(20)),
    Row("500 records a request", 4, lambda side: side.records(500)),
    Row("GET one account", 8, lambda side: side.account()),
    Row(f"list, 50 of {ACCOUNTS:,}", 8, lambda side: side.page()),
)
