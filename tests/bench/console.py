"""``make bench-console``: how long the pages over a hundred thousand customers take at the server, and how many SQL
statements they cost, on both footings.

Gateway, console and services in this process, as on the embedded footing; the databases SQLite,
then PostgreSQL. The rows are copies of one customer that was opened by the API, with names, figures
and states of their own. ``EXPLAIN=1`` shows the plans of what is slower than its aim."""

import dataclasses
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.runtime import clock, ids, log
from chassis.runtime.settings import Secret
from clientele import embedded
from console.app import MIGRATIONS
from devtools.servers import Postgres
from org.models import Organization
from sqlalchemy import insert, select, text

from tests.console.browser import Browser
from tests.console.provider import Provider
from tests.console.system import Whole

CUSTOMERS, ROUNDS = int(os.environ.get("CUSTOMERS", "100000")), int(os.environ.get("ROUNDS", "40"))
AIM_MS, AIM_STATEMENTS = 150.0, 12
PAGES = {
    "first page": "/customers",
    "by credits, most first": "/customers?sort=-usable_credits",
    "soonest empty": "/customers?sort=days_to_empty",
    "newest": "/customers?sort=-created_at",
    "search, many hits": "/customers?q=clinic",
    "search, one hit": "/customers?q=number+77777+",
    "search, no hit": "/customers?q=zzzzzz",
    "suspended": "/customers?status=suspended",
    "postpaid in JPY": "/customers?payment_mode=postpaid&currency=JPY",
    "needs attention": "/customers?attention=any",
    "home": "/home",
    "one customer": "/c/{org}/overview",
}
_WORDS = (
    "Harbour",
    "Dental",
    "Clinic",
    "Mill",
    "Lane",
    "Studio",
    "North",
    "Bakery",
    "Orchard",
    "Freight",
    "Labs",
)


def main() -> int:
    log.start("CRITICAL", service="bench", role="bench")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        missed += _measure("SQLite", Whole(Path(folder)))
    with tempfile.TemporaryDirectory() as folder, Postgres() as postgres, _on(postgres) as owner:
        missed += _measure("PostgreSQL", Whole(Path(folder)), owner)
    return 1 if missed else 0


def _measure(footing: str, whole: Whole, owner: dict[str, str] | None = None) -> int:
    try:
        provider, browser = Provider(whole), Browser(whole)
        customer = provider.customer("Acme", accept=False, credits="100")
        began = time.monotonic()
        _fill(whole.databases["org"], customer.id)
        _analyze((owner or {}).get("org") or whole.databases["org"].url)
        provider.owner.sign_in(browser)
        print(
            f"\n{footing}: {CUSTOMERS} customers in {time.monotonic() - began:.0f} s; {ROUNDS} rounds each, the load "
            f"of this machine is {os.getloadavg()[0]:.1f}\n{'page':<26}{'p50 ms':>9}{'p95 ms':>9}{'SQL':>6}",
            flush=True,
        )
        second = browser.get(browser.at("/customers")).links["Next page"].partition("?")[2]
        pages = PAGES | {"second page": f"/customers?{second}"}
        return sum(
            _row(browser, name, browser.at(path.format(org=customer.id)))
            for name, path in pages.items()
        )
    finally:
        whole.close()


def _row(browser: Browser, name: str, path: str) -> int:
    statements = browser.statements(path)
    took = sorted(_once(browser, path) for _ in range(ROUNDS))
    p50, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    late = p95 > AIM_MS or len(statements) > AIM_STATEMENTS
    print(
        f"{name:<26}{p50:9.1f}{p95:9.1f}{len(statements):6}{'  MISSED' if late else ''}", flush=True
    )
    if late and os.environ.get("EXPLAIN"):
        _explain(browser, path)
    return int(late)


def _once(browser: Browser, path: str) -> float:
    began = time.perf_counter()
    answer = browser.client.get(
        path, base_url=browser.origin, headers={"Sec-Fetch-Site": "none"}, buffered=True
    )
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return took


def _explain(browser: Browser, path: str) -> None:
    """The plan of the slowest statement behind a page."""
    database, slow = browser.system.databases["org"], [0.0, "", ()]
    from sqlalchemy import event

    def before(
        _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        context.began = time.perf_counter()

    def after(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> None:
        slow[:] = max(
            slow,
            [time.perf_counter() - context.began, statement, parameters],
            key=lambda one: one[0],
        )

    event.listen(database.engine, "before_cursor_execute", before)
    event.listen(database.engine, "after_cursor_execute", after)
    _once(browser, path)
    event.remove(database.engine, "before_cursor_execute", before)
    event.remove(database.engine, "after_cursor_execute", after)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN (ANALYZE, BUFFERS) "
    print(f"    {slow[0] * 1000:.0f} ms: {' '.join(str(slow[1]).split())[-700:]} {slow[2]}")
    with database.engine.connect() as connection:
        for line in connection.exec_driver_sql(explain + str(slow[1]), slow[2]):
            print(f"    {line[-1]}")


def _fill(database: Database, organization_id: str) -> None:
    with database.reading() as session:
        one = session.scalars(select(Organization).where(Organization.id == organization_id)).one()
        row = {
            column.key: getattr(one, column.key) for column in Organization.__mapper__.column_attrs
        }
    dice = random.Random(1)
    for first in range(0, CUSTOMERS, 5000):
        rows = [_copy(row, number, dice) for number in range(first, min(first + 5000, CUSTOMERS))]
        with database.transaction() as session:
            session.execute(insert(Organization), rows)


def _analyze(url: str) -> None:
    """What autovacuum does within a minute, as the owner of the tables."""
    database = Database(url)
    with database.transaction() as session:
        session.execute(text("ANALYZE"))
    database.close()


def _copy(row: dict[str, Any], number: int, dice: random.Random) -> dict[str, Any]:
    name = f"{' '.join(dice.sample(_WORDS, 3))} number {number} "
    units, made = dice.randrange(-(10**8), 10**10), clock.now() - timedelta(minutes=number)
    verified, identity = dice.random() > 0.1, ids.new("org")
    owner = row["owner"] | {"email": f"owner@{number}.example", "verified": verified}
    return row | {
        "id": identity,
        "name": name.strip(),
        "sort_name": name.strip().casefold(),
        "created_at": made,
        "status": dice.choices(["active", "suspended", "suspended_for_deletion"], [95, 4, 1])[0],
        "payment_mode": dice.choice(["prepaid", "postpaid"]),
        "currency": dice.choice(["EUR", "SGD", "JPY", "USD"]),
        "usable_units": units,
        "days_to_empty": dice.choice([row["days_to_empty"], dice.randrange(400)]),
        "owner": owner,
        "search": f"{name}{identity} {owner['email']} bills@{number}.example".casefold(),
    }


@contextmanager
def _on(postgres: Postgres) -> Iterator[dict[str, str]]:
    """What is built meanwhile keeps its data there; the addresses that the databases' owners
    use."""
    prepare: Callable[[embedded.Place], dict[str, Any]] = embedded.prepare
    owner: dict[str, str] = {}
    migrations = {service.name: service.migrations for service in embedded.SERVICES} | {
        "console": MIGRATIONS
    }

    def elsewhere(where: embedded.Place) -> dict[str, Any]:
        settings = prepare(where)
        for name, folder in migrations.items():
            made = postgres.fresh_database(name)
            owner[name] = made.owner_url
            migrations.upgrade(folder, made.owner_url)
            settings[name] = dataclasses.replace(settings[name], database_url=Secret(made.app_url))
        return settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "prepare", elsewhere)
        yield owner


if __name__ == "__main__":
    sys.exit(main())
