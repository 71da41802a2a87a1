"""``make bench-console``: server time and SQL statements of the pages over a hundred
thousand customers, on both databases.

Gateway, console and services run in this process, as in embedded mode, on SQLite first, then on
PostgreSQL. The rows are copies of one customer that was created through the API, with varying
names, figures and statuses. ``EXPLAIN=1`` prints the plans of statements that miss their target."""

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
from chassis.db import migrations
from chassis.db.database import Database
from chassis.runtime import clock, ids, log
from chassis.runtime.settings import Secret
from clientele import embedded
from clientele.installation import Installation
from console.app import MIGRATIONS
from devtools.servers import Postgres
from org.models import Organization
from sqlalchemy import insert, select, text

from tests.console.browser import Browser
from tests.console.provider import Provider
from tests.console.system import Whole

CUSTOMERS, ROUNDS = int(os.environ.get("CUSTOMERS", "100000")), int(os.environ.get("ROUNDS", "40"))
TARGET_MS, TARGET_STATEMENTS = 150.0, 12
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


def _measure(database: str, whole: Whole, owner: dict[str, str] | None = None) -> int:
    try:
        provider, browser = Provider(whole), Browser(whole)
        customer = provider.customer("Acme", accept=False, credits="100")
        began = time.monotonic()
        _fill(whole.databases["org"], customer.id)
        _analyze((owner or {}).get("org") or whole.databases["org"].url)
        provider.owner.sign_in(browser)
        print(
            f"\n{database}: {CUSTOMERS} customers in {time.monotonic() - began:.0f} s; {ROUNDS}"
            " rounds each, load average"
            f" {os.getloadavg()[0]:.1f}\n{'page':<26}{'p50 ms':>9}{'p95 ms':>9}{'SQL':>6}",
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
    late = p95 > TARGET_MS or len(statements) > TARGET_STATEMENTS
    print(
        f"{name:<26}{p50:9.1f}{p95:9.1f}{len(statements):6}{'  MISSED' if late else ''}", flush=True
    )
    if late and os.environ.get("EXPLAIN"):
        _explain(browser, path)
    return int(late)


def _once(browser: Browser, path: str) -> float:
    began = time.perf_counter()
    response = browser.client.get(
        path, base_url=browser.origin, headers={"Sec-Fetch-Site": "none"}, buffered=True
    )
    took = (time.perf_counter() - began) * 1000
    assert response.status_code == 200, f"{path}: {response.status_code}"
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
    """Collect statistics as the owner of the tables; autovacuum would do it within a minute."""
    database = Database(url)
    with database.transaction() as session:
        session.execute(text("ANALYZE"))
    database.close()


def _copy(row: dict[str, Any], number: int, dice: random.Random) -> dict[str, Any]:
    name = f"{' '.join(dice.sample(_WORDS, 3))} number {number} "
    units, created_at = dice.randrange(-(10**8), 10**10), clock.now() - timedelta(minutes=number)
    verified, identity = dice.random() > 0.1, ids.new("org")
    owner = row["owner"] | {"email": f"owner@{number}.example", "verified": verified}
    return row | {
        "id": identity,
        "name": name.strip(),
        "sort_name": name.strip().casefold(),
        "created_at": created_at,
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
    """Systems built inside keep their data in PostgreSQL. Yields the URLs of the databases'
    owners."""
    prepare: Callable[[Installation], dict[str, Any]] = embedded.prepare
    owner: dict[str, str] = {}
    folders = {service.name: service.migrations for service in embedded.SERVICES}
    folders["console"] = MIGRATIONS

    def on_postgresql(where: Installation) -> dict[str, Any]:
        settings = prepare(where)
        for name, folder in folders.items():
            created = postgres.fresh_database(name)
            owner[name] = created.owner_url
            migrations.upgrade(folder, created.owner_url, shared=name != "console")
            settings[name] = dataclasses.replace(
                settings[name], database_url=Secret(created.app_url)
            )
        return settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "prepare", on_postgresql)
        yield owner


if __name__ == "__main__":
    sys.exit(main())
