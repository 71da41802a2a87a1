"""The measurements: one row of the table each."""

import re
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from billing import actions
from billing.actions.usage.records import UsageRecord
from billing.jobs import BillingRun
from billing.models import Account, Entry
from chassis.auth.actor import SYSTEM
from chassis.runtime import ids
from devtools.processes import until
from sqlalchemy import func, select

from tests import metering
from tests.bench.ledger import load
from tests.bench.ledger.environment import WALLETS, Environment

PUBLISHED = 20_000


class Row(NamedTuple):
    """``target``: the ratio to TPC-B to reach. ``measure`` returns the number per second."""

    name: str
    target: float | None
    measure: Callable[[Environment], float]


def tpcb(environment: Environment) -> float:
    """The reference: transactions per second of pgbench."""
    return _tps(
        environment.pgbench("-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", "4", "postgres")
    )


def latency(environment: Environment, rows: int) -> float:
    """Median latency in milliseconds of a charge from one client, by rows in the journal."""
    return load.latency(environment.grown[rows], environment.numbered, 1000)


def _batch(size: int) -> Callable[[Environment], float]:
    return lambda environment: load.rate(
        load.post_batches, environment.url, environment.provider_id, environment.wallets, size
    )


def _hot(environment: Environment) -> float:
    return load.rate(
        load.post_batches, environment.url, environment.provider_id, environment.wallets[:1], 500
    )


def _pairs(environment: Environment) -> float:
    return load.rate(
        load.reserve_and_capture, environment.url, environment.provider_id, environment.wallets, 1
    )


def _web(items: int, clients: int) -> Callable[[Environment], float]:
    def measure(environment: Environment) -> float:
        wallets = environment.folder / "wallets"
        wallets.write_text("\n".join(environment.wallets) + "\n")
        return load.request(
            environment.system.url_of("billing"), environment.token(), wallets, items, clients
        )

    return measure


def _broker(environment: Environment) -> float:
    """From the first batch to the last; the consumer starts once all are published."""
    environment.system.stop(["billing-listen"])
    tag, before = secrets.token_hex(4), environment.postings()
    metering.publish(
        environment.system.broker_url("usage"),
        (
            metering.message(
                metering.record(
                    environment.provider_id, environment.wallets[n % WALLETS], f"{tag}-{n}"
                )
            )
            for n in range(PUBLISHED)
        ),
    )
    environment.system.start(["billing-listen"])
    until(lambda: environment.postings() - before == PUBLISHED, 60, "not every record was posted")
    mine = (
        select(Entry.posted_at, func.count())
        .where(Entry.source.like(f"{tag}-%"))
        .group_by(Entry.posted_at)
    )
    with environment.database.reading() as session:
        batches = sorted(tuple(row) for row in session.execute(mine))
    return (PUBLISHED - batches[-1][1]) / (batches[-1][0] - batches[0][0]).total_seconds()


def _month(environment: Environment) -> float:
    """Accounts per second billed at the end of a month."""
    with environment.database.reading() as session:
        ends = session.scalars(
            select(func.max(Account.month_ends_at)).where(
                Account.organization_id == environment.by_month[0]
            )
        ).one()
    assert ends is not None
    used = ends - timedelta(days=1)
    for start in range(0, WALLETS, 1000):
        with environment.database.transaction() as session:
            records = [
                UsageRecord(
                    environment.provider_id, ids.new("evt"), wallet, 1000, used, "Calls abroad"
                )
                for wallet in environment.by_month[start : start + 1000]
            ]
            assert set(actions.record_usage(session, by=SYSTEM, records=records, now=used)) == {
                "accepted"
            }
    began, done, after = time.monotonic(), 0, ends + timedelta(hours=1)
    run = BillingRun().run
    while count := run(environment.database, after, None):
        done += count
    assert done >= WALLETS, done
    return WALLETS / (time.monotonic() - began)


def _tps(output: str) -> float:
    return float(re.search(r"tps = ([0-9.]+)", output)[1])  # type: ignore[index]


ROWS: tuple[Row, ...] = (
    *(
        Row(f"batch of {size}, 2 processes", {500: 6.0}.get(size), _batch(size))
        for size in (10, 100, 500, 2000)
    ),
    Row("one hot wallet, batch of 500, 2 processes", 8.0, _hot),
    Row("reserve + capture, pairs, 2 processes", 0.3, _pairs),
    Row("HTTP, one charge a request", None, _web(0, 8)),
    Row("HTTP, 20 records a request", None, _web(20, 4)),
    Row("HTTP, 500 records a request", 4.0, _web(500, 4)),
    Row("usage by broker", 4.0, _broker),
    Row(f"month end, of {WALLETS:,} accounts", 0.6, _month),
)
