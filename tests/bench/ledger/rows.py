"""What is measured: a row of the table each, and how fast it is in one round."""

import re
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from billing import actions
from billing.actions.charges.fast_charge import CONSTANTS, STATEMENT
from billing.actions.usage.records import UsageRecord
from billing.jobs import end_months
from billing.models import Account, Entry
from chassis.runtime import ids
from devtools.processes import until
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql

from tests import metering
from tests.bench.ledger import pressure
from tests.bench.ledger.place import NUMBERED, WALLETS, Place

PUBLISHED = 20_000


class Row(NamedTuple):
    """``aim``: how often as fast as TPC-B it should be. ``measure`` responses how many a second."""

    name: str
    aim: float | None
    measure: Callable[[Place], float]


def tpcb(place: Place) -> float:
    """The yardstick."""
    return _tps(place.pgbench("-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", "4", "postgres"))


def latency(place: Place, rows: int) -> float:
    """The median of the single statement from one client, in milliseconds, with that many rows in
    the journal."""
    arguments = ["-n", "-M", "prepared", "-c", "1", "-f", _script(place), place.grown[rows]]
    place.pgbench("-t", "300", *arguments)
    place.pgbench("-t", "1000", "-l", "--log-prefix=took", *arguments)
    logs = list(place.folder.glob("took.*"))
    took = [int(line.split()[2]) for log in logs for line in log.read_text().splitlines()]
    for log in logs:
        log.unlink()
    return statistics.median(took) / 1000


def _single(place: Place) -> float:
    arguments = ["-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", "4", "-f", _script(place)]
    return _tps(place.pgbench(*arguments, place.grown[10**6]))


def _script(place: Place) -> str:
    """The statement of one charge as the service sends it, for pgbench: any wallet, 1000
    millionths."""
    path = place.folder / "single.sql"
    if not path.exists():
        wanted = {
            **CONSTANTS,
            "amount": 1000,
            "cost": 0,
            "legs": 1,
            "kind": "'usage'",
            "now": "now()",
            "description": "'Calls abroad'",
            "day": "current_date",
            "organization_id": NUMBERED.format(":wallet"),
            "transaction_id": "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0')"
            " || lpad(to_hex(:some::bigint), 16, '0'))::uuid",
        }
        compiled = str(STATEMENT.compile(dialect=postgresql.psycopg.dialect()))
        filled = re.sub(r"%\((\w+)\)s", lambda found: str(wanted[found[1]]), compiled).replace(
            "%%", "%"
        )
        path.write_text(
            f"\\set wallet random(1, {WALLETS})\n\\set some random(1, 1000000000)\n{filled};\n"
        )
    return str(path)


def _batch(size: int) -> Callable[[Place], float]:
    return lambda place: pressure.rate(
        pressure.post_batches, place.url, place.provider_id, place.wallets, size
    )


def _hot(place: Place) -> float:
    return pressure.rate(
        pressure.post_batches, place.url, place.provider_id, place.wallets[:1], 500
    )


def _pairs(place: Place) -> float:
    return pressure.rate(
        pressure.reserve_and_capture, place.url, place.provider_id, place.wallets, 1
    )


def _web(items: int, clients: int) -> Callable[[Place], float]:
    def measure(place: Place) -> float:
        wallets = place.folder / "wallets"
        wallets.write_text("\n".join(place.wallets) + "\n")
        return pressure.ask(place.system.url_of("billing"), place.token(), wallets, items, clients)

    return measure


def _broker(place: Place) -> float:
    """From the first batch to the last; the consumer begins once all are published."""
    place.system.stop(["billing-listen"])
    tag, before = secrets.token_hex(4), place.postings()
    metering.publish(
        place.system.broker_url("usage"),
        (
            metering.message(
                metering.record(place.provider_id, place.wallets[n % WALLETS], f"{tag}-{n}")
            )
            for n in range(PUBLISHED)
        ),
    )
    place.system.start(["billing-listen"])
    until(lambda: place.postings() - before == PUBLISHED, 60, "not every record was posted")
    mine = (
        select(Entry.posted_at, func.count())
        .where(Entry.source.like(f"{tag}-%"))
        .group_by(Entry.posted_at)
    )
    with place.database.reading() as session:
        batches = sorted(tuple(row) for row in session.execute(mine))
    return (PUBLISHED - batches[-1][1]) / (batches[-1][0] - batches[0][0]).total_seconds()


def _month(place: Place) -> float:
    """Accounts a second whose month is over and that have something unbilled."""
    with place.database.reading() as session:
        ends = session.scalars(
            select(func.max(Account.month_ends_at)).where(
                Account.organization_id == place.by_month[0]
            )
        ).one()
    assert ends is not None
    used = ends - timedelta(days=1)
    for start in range(0, WALLETS, 1000):
        with place.database.transaction() as session:
            records = [
                UsageRecord(place.provider_id, ids.new("evt"), wallet, 1000, used, "Calls abroad")
                for wallet in place.by_month[start : start + 1000]
            ]
            assert set(actions.record_usage(session, records=records, now=used)) == {"accepted"}
    began, done, after = time.monotonic(), 0, ends + timedelta(hours=1)
    while count := end_months(place.database, after, None):
        done += count
    assert done >= WALLETS, done
    return WALLETS / (time.monotonic() - began)


def _tps(published: str) -> float:
    return float(re.search(r"tps = ([0-9.]+)", published)[1])  # type: ignore[index]


ROWS: tuple[Row, ...] = (
    Row("single post, one statement, 8 clients", 1.5, _single),
    *(
        Row(f"batch of {size}, 2 processes", {500: 6.0}.get(size), _batch(size))
        for size in (10, 100, 500, 2000)
    ),
    Row("one hot wallet, batch of 500, 2 processes", 6.0, _hot),
    Row("reserve + capture, pairs, 2 processes", None, _pairs),
    Row("HTTP, one charge a request", 0.3, _web(0, 8)),
    Row("HTTP, 20 records a request", None, _web(20, 4)),
    Row("HTTP, 500 records a request", 4.0, _web(500, 4)),
    Row("usage by broker", None, _broker),
    Row(f"month end, of {WALLETS:,} accounts", None, _month),
)
