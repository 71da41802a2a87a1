"""The measurements: one row of the table each."""

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
from billing.jobs import run_billing
from billing.models import Account, Entry
from chassis.auth.actor import SYSTEM
from chassis.runtime import ids
from devtools.processes import until
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql

from tests import metering
from tests.bench.ledger import load
from tests.bench.ledger.environment import NUMBERED, WALLETS, Environment

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
    """Median latency in milliseconds of a fast charge from one client, by rows in the journal."""
    arguments = [
        "-n",
        "-M",
        "prepared",
        "-c",
        "1",
        "-f",
        _script(environment),
        environment.grown[rows],
    ]
    environment.pgbench("-t", "300", *arguments)
    environment.pgbench("-t", "1000", "-l", "--log-prefix=took", *arguments)
    logs = list(environment.folder.glob("took.*"))
    took = [int(line.split()[2]) for log in logs for line in log.read_text().splitlines()]
    for log in logs:
        log.unlink()
    return statistics.median(took) / 1000


def _single(environment: Environment) -> float:
    arguments = [
        "-n",
        "-M",
        "prepared",
        "-c",
        "8",
        "-j",
        "2",
        "-T",
        "4",
        "-f",
        _script(environment),
    ]
    return _tps(environment.pgbench(*arguments, environment.grown[10**6]))


def _script(environment: Environment) -> str:
    """The statement of a fast charge for pgbench: a random wallet, 1000 millionths."""
    path = environment.folder / "single.sql"
    if not path.exists():
        values = {
            **CONSTANTS,
            "amount": 1000,
            "cost": 0,
            "legs": 1,
            "kind": "'usage'",
            "now": "now()",
            "description": "'Calls abroad'",
            "actor_kind": "'staff'",
            "actor_id": "'idn_load'",
            "day": "current_date",
            "organization_id": NUMBERED.format(":wallet"),
            "transaction_id": (
                "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0')"
                " || lpad(to_hex(:some::bigint), 16, '0'))::uuid"
            ),
        }
        compiled = str(STATEMENT.compile(dialect=postgresql.psycopg.dialect()))
        filled = re.sub(r"%\((\w+)\)s", lambda match: str(values[match[1]]), compiled).replace(
            "%%", "%"
        )
        path.write_text(
            f"\\set wallet random(1, {WALLETS})\n\\set some random(1, 1000000000)\n{filled};\n"
        )
    return str(path)


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
    while count := run_billing(environment.database, after, None):
        done += count
    assert done >= WALLETS, done
    return WALLETS / (time.monotonic() - began)


def _tps(output: str) -> float:
    return float(re.search(r"tps = ([0-9.]+)", output)[1])  # type: ignore[index]


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
