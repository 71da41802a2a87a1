"""A listener that is frozen: another one consumes its queues, and nothing is lost or repeated when
it wakes up."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chassis.db.database import Database
from chassis.db.leases import Lease
from devtools.processes import System
from sqlalchemy import distinct, func, select

from tests import customers
from tests.waiting import until

pytestmark = pytest.mark.exhaustive


@contextmanager
def second_listener(system: System) -> Iterator[None]:
    environment = system.environment("org", "listen") | {"HEALTH_PORT": "0"}
    with (system.folder / "second-listener.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "org", "listen"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def holders(database: Database) -> int:
    """How many listeners hold queues of the inbox."""
    query = select(func.count(distinct(Lease.holder))).where(
        Lease.kind == "inbox", Lease.until > func.now()
    )
    with database.reading() as session:
        return session.scalars(query).one()


def test_another_listener_consumes_the_queues_of_a_frozen_one(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    paths = [customers.open_customer(api) for _ in range(8)]
    database = Database(system.database_url("org"))

    def shown(amount: str) -> bool:
        listed = api.call("GET", "/v1/organizations?limit=200").body["data"]
        balances = {row["id"]: row["summary"]["balance"] for row in listed}
        return {balances[path.rpartition("/")[2]] for path in paths} == {amount}

    with second_listener(system):
        until(lambda: holders(database) == 2)
        with frozen(system.pid("org-listen")):
            began = time.monotonic()
            for path in paths:
                customers.transact(api, path, "top-ups", "5.00")
            until(lambda: shown("5.00"))
            print(f"taken over within {time.monotonic() - began:.1f} s")
        until(lambda: holders(database) == 2)
    for path in paths:
        customers.transact(api, path, "top-ups", "2.00")
    until(lambda: shown("7.00"))
    database.close()

    assert system.command("org", "dead-letters") == ""
