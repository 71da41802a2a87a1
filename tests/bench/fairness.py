"""``make bench-fairness``: how long one customer's requests take while another is at its limits.

Real processes, a private PostgreSQL and a private RabbitMQ, without the proxy. The greedy
customer's owner does everything below in endless loops, with more clients than its limits admit,
and repeats what is refused a tenth of a second later, whatever Retry-After says. First what holds
a resource for long, then ordinary requests as well. SECONDS for each measurement."""

import multiprocessing
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from devtools.processes import System
from devtools.servers import Postgres, RabbitMQ

from tests import customers
from tests.revocations import PASSWORD, Scene

SECONDS = float(os.environ.get("SECONDS", "20"))
AIM = 2.0
LINES, BATCH = 4000, 250
REFUSED_PAUSE = 0.1
Attempt = Callable[[], int]
_FORK = multiprocessing.get_context("fork")
Stop = Any  # an event of _FORK


class Tenant:
    """A customer with transactions and an invoice, and its owner, signed in."""

    def __init__(self, scene: Scene) -> None:
        self._base = scene.system.address
        self.connect()
        self.path = customers.open_customer(
            scene.staff, managed_by="customer", payment_mode="postpaid", credit_limit="1000000"
        )
        owner = scene._owner(self.path)
        # The invoice has the lines of the first batch.
        self._use(scene)
        issued = scene.staff.call("POST", f"{self.path}/invoices", {}, key=secrets.token_hex(8))
        assert issued.status == 201, issued
        self.invoice = f"{self.path}/invoices/{issued.body['id']}.pdf"
        for _ in range(BATCH, LINES, BATCH):
            self._use(scene)
        self.token = scene._log_in(owner)

    def connect(self) -> None:
        """Use new connections; a process that was forked has to."""
        self._pool = urllib3.PoolManager(maxsize=40, retries=False, timeout=60.0)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> int:
        """Send a request; its status, once the whole response has been read."""
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        response = self._pool.request(method, self._base + path, json=body, headers=sent)
        return response.status

    def read_slowly(self, stop: Stop) -> int:
        """Begin to download all transactions, and take a few bytes of it now and then."""
        at = urlsplit(self._base)
        with socket.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            line.connect((at.hostname, at.port))
            line.sendall(
                f"GET {self.path}/account/transactions HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n"
                f"Authorization: Bearer {self.token}\r\n\r\n".encode()
            )
            status = int(line.recv(64).split()[1])
            while status == 200 and not stop.wait(0.2) and line.recv(64):
                pass
        return status

    def _use(self, scene: Scene) -> None:
        records = [self._record(number) for number in range(BATCH)]
        made = scene.staff.call("POST", "/v1/usage", {"records": records})
        assert made.body.get("accepted") == BATCH, made.in_words

    def _record(self, number: int) -> dict[str, Any]:
        return {
            "id": secrets.token_hex(8),
            "organization_id": self.path.rpartition("/")[2],
            "amount": "0.01",
            "description": f"A call to number {number}, of a length that fills the line",
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60)),
        }


@contextmanager
def load(clients: Callable[[Stop], dict[str, tuple[int, Attempt]]]) -> Iterator[Counter[str]]:
    """So many clients of each kind, in endless loops; how often each kind got each status. They run
    in a process of their own, so that the measured client does not share a lock with them."""
    stop, results = _FORK.Event(), _FORK.SimpleQueue()
    statuses = Counter[str]()
    process = _FORK.Process(target=_run_clients, args=(clients, stop, results), daemon=True)
    process.start()
    try:
        yield statuses
    finally:
        stop.set()
        statuses.update(results.get())
        process.join(60)


def _run_clients(
    clients: Callable[[Stop], dict[str, tuple[int, Attempt]]], stop: Stop, results: Any
) -> None:
    statuses = Counter[str]()

    def run(name: str, attempt: Attempt) -> None:
        while not stop.is_set():
            try:
                status = attempt()
            except urllib3.exceptions.HTTPError:
                status = 0
            statuses[f"{name} {status}"] += 1
            if status >= 400:
                stop.wait(REFUSED_PAUSE)

    threads = [
        threading.Thread(target=run, args=(name, attempt), daemon=True)
        for name, (count, attempt) in clients(stop).items()
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    results.put(statuses)


def greedy(tenant: Tenant, stop: Stop) -> dict[str, tuple[int, Attempt]]:
    """Clients for what holds a resource for long."""
    tenant.connect()
    step_up = {"password": PASSWORD}
    own = {"organization_id": tenant.path.rpartition("/")[2]}
    return {
        "slow download": (4, lambda: tenant.read_slowly(stop)),
        "PDF": (4, lambda: tenant.call("GET", tenant.invoice)),
        "re-authentication": (4, lambda: tenant.call("POST", "/v1/me/step-up", step_up)),
        "switch": (2, lambda: tenant.call("POST", "/v1/sessions/exchange", own)),
    }


def measure(tenant: Tenant) -> tuple[float, float, int]:
    """Ordinary requests one after the other: p50 and p95 in milliseconds, and how many failed."""
    paths = ("", "/account", "/account/transactions?limit=50", "/members")
    took, failed, end = [], 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        for path in paths:
            began = time.perf_counter()
            failed += tenant.call("GET", tenant.path + path) != 200
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.95)], failed


def main() -> None:
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="clientele-bench-"))
    try:
        with Postgres() as postgres, RabbitMQ() as rabbitmq:
            system = System(postgres, rabbitmq, folder, settings={}, downloads=True)
            try:
                system.prepare()
                system.start()
                system.await_ready()
                scene = Scene(system, times=1)
                missed = _compare(Tenant(scene), Tenant(scene))
            finally:
                system.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(missed > 0)


def _compare(one: Tenant, other: Tenant) -> int:
    """Measure idle and loaded, and print; how many rows miss the aim."""
    print(
        f"load average {os.getloadavg()[0]:.1f}; p50 and p95 in ms of the other customer's requests"
    )
    _, idle, _ = _row("idle", measure(other), 0)
    missed = 0
    plain = {"plain request": (12, lambda: one.call("GET", f"{one.path}/account"))}
    for name, more in (("downloads, PDFs, hashing", {}), ("and ordinary requests", plain)):
        with load(lambda stop, more=more: {**greedy(one, stop), **more}) as statuses:
            _, p95, failed = _row(name, measure(other), idle)
        missed += p95 > AIM * idle or failed > 0
        print("    " + ", ".join(f"{what}: {times}" for what, times in sorted(statuses.items())))
    return missed


def _row(name: str, result: tuple[float, float, int], idle: float) -> tuple[float, float, int]:
    p50, p95, failed = result
    ratio = f"{p95 / idle:6.1f} times idle, aim {AIM:g}" if idle else ""
    print(f"{name:28}{p50:8.1f}{p95:8.1f}  {failed} failed{ratio}", flush=True)
    return result


if __name__ == "__main__":
    main()
