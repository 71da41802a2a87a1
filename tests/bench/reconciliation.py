"""``make bench-reconciliation``: how long ``python -m org reconcile`` takes for a hundred thousand
organizations next to 50 charges a second, and how long the charges take meanwhile.

Real processes, a private PostgreSQL and a private RabbitMQ, without the proxy. The organizations
are copies of one that was opened through the API, in all databases. One account is sealed by hand:
the only line that the command may print. CUSTOMERS, CHARGES a second."""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from billing.models import Account
from chassis.db.database import Database
from chassis.http.transport import HttpTransport
from chassis.runtime import ids
from chassis.runtime.settings import Secret
from devtools.demo.api import Api
from devtools.processes import System
from devtools.servers import Postgres, RabbitMQ
from org import jobs
from org.config import Settings
from sqlalchemy import text

from tests import customers

CUSTOMERS = int(os.environ.get("CUSTOMERS", "100000"))
CHARGES = int(os.environ.get("CHARGES", "50"))
IDLE_SECONDS, BATCH, CLIENTS, AIM_SECONDS = 20, 2000, 5, 3600
PAUSE = 5  # seconds between the pages of the job


class Charges:
    """Clients that charge customers at a steady rate; ``took``: milliseconds of each charge."""

    def __init__(self, api: Api, paths: Sequence[str]) -> None:
        self._api, self._paths = api, paths
        self.took: list[float] = []
        self.failed = 0
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """They run meanwhile."""
        threads = [threading.Thread(target=self._run, args=(path,)) for path in self._paths]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _run(self, path: str) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + CLIENTS / CHARGES, time.monotonic() - 1)
            began = time.perf_counter()
            answer = customers.transact(self._api, path, "charges", "0.01")
            self.took.append((time.perf_counter() - began) * 1000)
            self.failed += answer.status != 201


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="clientele-bench-"))
    try:
        with Postgres() as postgres, RabbitMQ() as rabbitmq:
            system = System(postgres, rabbitmq, folder, settings={"RECONCILIATION_HOURS": "0"})
            try:
                system.prepare()
                system.start()
                system.await_ready()
                return _measure(system)
            finally:
                system.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(system: System) -> int:
    api = customers.sign_in_as_admin(system.address, system.password)
    paths = [customers.open_customer(api) for _ in range(CLIENTS + 1)]
    for path in paths[:CLIENTS]:
        assert customers.transact(api, path, "top-ups", "10000").status == 201
    time.sleep(2)
    began = time.monotonic()
    copied = _fill(system, paths[-1].rpartition("/")[2])
    print(f"{CUSTOMERS} organizations in {time.monotonic() - began:.0f} s", flush=True)
    idle, loaded = Charges(api, paths[:CLIENTS]), Charges(api, paths[:CLIENTS])
    with idle.running():
        time.sleep(IDLE_SECONDS)
    with loaded.running():
        pages = _pages(system)
        began = time.monotonic()
        try:
            printed = system.command("org", "reconcile")
        except RuntimeError as problem:  # it exits with 1, as something is left
            printed = str(problem)
        took = time.monotonic() - began
    lines = [line for line in printed.splitlines() if line.startswith("org_")]
    paced = len(pages) * PAUSE
    print(f"load average {os.getloadavg()[0]:.1f}; {CHARGES} charges a second")
    print(f"{'reading and comparing':<28}{sum(pages):8.1f} s, {_ms(pages)} a page")
    print(f"{'the command':<28}{took:8.1f} s, with its start, the replies and repairs")
    print(f"{'pass of the job':<28}{paced + sum(pages):8.0f} s, a page every {PAUSE} s")
    _row("charges without it", idle)
    _row("charges next to it", loaded)
    print(f"differences: {len(lines)}, 1 planted")
    for line in lines[:10]:
        print(f"    {line}")
    exact = len(lines) == 1 and lines[0].startswith(f"{copied} billing state")
    return 0 if exact and paced + sum(pages) < AIM_SECONDS and not loaded.failed else 1


def _pages(system: System) -> list[float]:
    """How long each page of a pass takes, in seconds, in this process with the services' own."""
    database = Database(system.database_url("org"), pool_size=1)
    settings = Settings(
        database_url=Secret(""),
        billing_url="",
        membership_url="",
        internal_secret=Secret(system._secrets["org"]),
    )
    transports = {name: HttpTransport(system.url_of(name)) for name in ("billing", "membership")}
    took, after, is_complete = [], None, False
    while not is_complete:
        began = time.perf_counter()
        compared = jobs.compare_page(database, settings, transports, after)
        took.append(time.perf_counter() - began)
        after, is_complete = compared.until, compared.until is None
    database.close()
    return took


def _ms(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    return f"{p50 * 1000:.0f} ms p50 {p95 * 1000:.0f} ms p95"


def _row(name: str, charges: Charges) -> None:
    took = sorted(charges.took)
    p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
    print(f"{name:<28}{p50:8.1f} ms p50 {p95:8.1f} ms p95, {len(took)}, {charges.failed} failed")


# Copies of one row; n: the new ids of the organization and its owner.
_COPY = """
INSERT INTO {table}
SELECT (jsonb_populate_record(copied, {changes})).*
FROM {table} copied, unnest(
    CAST(:ids AS uuid[]), CAST(:members AS uuid[]), CAST(:names AS text[])
) n(id, member, name)
WHERE copied.{key} = CAST(:like AS uuid)"""
_TABLES = (
    (
        "org",
        "organizations",
        "id",
        "jsonb_build_object('id', n.id, 'owner', copied.owner"
        " || jsonb_build_object('member_id', n.name))",
    ),
    ("billing", "accounts", "organization_id", "jsonb_build_object('organization_id', n.id)"),
    ("membership", "organizations", "id", "jsonb_build_object('id', n.id)"),
    (
        "membership",
        "members",
        "organization_id",
        "jsonb_build_object('organization_id', n.id, 'id', n.member)",
    ),
)


def _fill(system: System, like: str) -> str:
    """Copy the organization in all databases; one whose account is sealed."""
    new = [(ids.new("org"), ids.new("mem")) for _ in range(CUSTOMERS)]
    for service, table, key, changes in _TABLES:
        database = Database(system.database_url(service), pool_size=1)
        statement = text(_COPY.format(table=table, key=key, changes=changes))
        for first in range(0, CUSTOMERS, BATCH):
            batch = new[first : first + BATCH]
            values = {
                "ids": [str(ids.to_uuid("org", id_)) for id_, _ in batch],
                "members": [str(ids.to_uuid("mem", member)) for _, member in batch],
                "names": [member for _, member in batch],
                "like": str(ids.to_uuid("org", like)),
            }
            with database.transaction() as session:
                session.execute(text("SET LOCAL statement_timeout = 0"))
                session.execute(statement, values)
        database.close()
    sealed = new[CUSTOMERS // 2][0]
    database = Database(system.database_url("billing"), pool_size=1)
    with database.transaction() as session:
        session.get_one(Account, sealed).status = "sealed"
    database.close()
    return sealed


if __name__ == "__main__":
    sys.exit(main())
