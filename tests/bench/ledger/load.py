"""The load on the ledger: processes that post, and a web client."""

import multiprocessing
import random
import re
import secrets
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from billing import actions
from billing.actions.usage.records import UsageRecord
from chassis.auth.actor import SYSTEM
from chassis.db.database import Database
from chassis.runtime import clock

SECONDS = 4.0
PROCESSES = 2
WEB = Path(__file__).with_name("web.lua")


def post_batches(url: str, provider_id: str, wallets: list[str], size: int) -> Callable[[], int]:
    """A function that posts a batch of usage and returns the number of rows posted."""
    database, tag, n = Database(url, pool_size=1), secrets.token_hex(4), 0

    def post() -> int:
        nonlocal n
        n, now = n + 1, clock.now()
        records = [
            UsageRecord(
                provider_id, f"{tag}-{n}-{k}", random.choice(wallets), 1000 + k, now, "Calls abroad"
            )
            for k in range(size)
        ]
        with database.transaction() as session:
            outcomes = actions.record_usage(session, by=SYSTEM, records=records, now=now)
        assert outcomes.count("accepted") == size, outcomes
        return size

    return post


def reserve_and_capture(
    url: str, provider_id: str, wallets: list[str], size: int
) -> Callable[[], int]:
    """A function that reserves an amount and captures it, in two transactions."""
    database = Database(url, pool_size=1)

    def pair() -> int:
        wallet = random.choice(wallets)
        with database.transaction() as session:
            held = actions.reserve(
                session,
                by=SYSTEM,
                organization_id=wallet,
                amount=1000,
                description="A call",
                expires_in=60,
                now=clock.now(),
            )
        with database.transaction() as session:
            actions.capture(
                session,
                by=SYSTEM,
                organization_id=wallet,
                reservation_id=held["id"],
                now=clock.now(),
            )
        return 1

    return pair


def latency(url: str, wallets: list[str], times: int) -> float:
    """The median milliseconds of a charge of a random wallet, each in a transaction of its own."""
    database, took = Database(url, pool_size=1), []
    for _ in range(times + 50):
        began = time.perf_counter()
        with database.transaction() as session:
            actions.charge(
                session,
                organization_id=random.choice(wallets),
                amount=1000,
                kind="usage",
                description="Calls abroad",
                now=clock.now(),
                by=SYSTEM,
            )
        took.append(time.perf_counter() - began)
    database.close()
    return statistics.median(took[50:]) * 1000  # until statements are prepared


def rate(prepare: Callable[..., Callable[[], int]], *arguments: Any) -> float:
    """The work per second of ``PROCESSES`` processes that each run the function ``prepare``
    makes."""
    context = multiprocessing.get_context("spawn")
    barrier, done = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_run, args=(prepare, arguments, barrier, done))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    try:
        return sum(done.get(timeout=60) for _ in processes)
    finally:
        for process in processes:
            process.join(10)
            process.kill()


def _run(
    prepare: Callable[..., Callable[[], int]], arguments: tuple[Any, ...], barrier: Any, done: Any
) -> None:
    work, count = prepare(*arguments), 0
    for _ in range(6):  # until statements are prepared
        work()
    barrier.wait(60)
    began = time.monotonic()
    while time.monotonic() < began + SECONDS:
        count += work()
    done.put(count / (time.monotonic() - began))


class Answered(NamedTuple):
    """The requests that got a response, and how many of them per second."""

    requests: int
    per_second: float


def request(address: str, token: str, wallets: Path, items: int, clients: int) -> float:
    """Records per second that a web client posts: single charges (``items`` 0), or batches of
    usage."""
    arguments = [token, str(wallets), str(items), secrets.token_hex(4)]
    return wrk(WEB, address, clients, arguments).per_second * max(items, 1)


def wrk(
    script: Path, address: str, clients: int, arguments: list[str], seconds: float = SECONDS
) -> Answered:
    """Send the requests that the script makes from its arguments, all of which must succeed."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is not installed (apt-get install wrk)")
    options = ["-t2", f"-c{clients}", f"-d{seconds:.0f}s", "--timeout", "10s", "-s", str(script)]
    command = [program, *options, address, "--", *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    total = re.search(r"(\d+) requests in", output)
    if rate is None or total is None or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return Answered(int(total[1]), float(rate[1]))
