"""kill -9 of a web worker during requests: each acknowledged charge is booked once, and a retry
returns it."""

import os
import random
import signal
import threading
from decimal import Decimal

from devtools.processes import System
from devtools.servers.processes import family

from tests import customers
from tests.waiting import until

CHARGES, THREADS = 120, 6


def test_acknowledged_charges_are_booked_once_and_retries_agree(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    path = customers.open_customer(api)
    customers.transact(api, path, "top-ups", "1000.00")
    keys = [f"charge-{n}" for n in range(CHARGES)]
    outcomes: dict[str, str] = {}
    queue = iter(keys)
    lock = threading.Lock()

    def charge() -> None:
        while True:
            with lock:
                key = next(queue, None)
            if key is None:
                return
            response = until(lambda key=key: _sent(api, path, key))
            with lock:
                outcomes[key] = response.body["id"]

    workers = [threading.Thread(target=charge) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    kills = _kill_workers(system, "billing-web", lambda: len(outcomes), wanted=4)
    for worker in workers:
        worker.join()

    retries = {key: customers.transact(api, path, "charges", "1.000001", key=key) for key in keys}
    assert kills == 4
    assert {key: a.body["id"] for key, a in retries.items()} == outcomes
    assert all(a.replayed for a in retries.values())
    balance = Decimal(api.call("GET", f"{path}/account").body["balance"])
    assert balance == Decimal(1000) - CHARGES * Decimal("1.000001")


def _sent(api: customers.Api, path: str, key: str) -> customers.Answer | None:
    try:
        response = customers.transact(api, path, "charges", "1.000001", key=key)
    except Exception:
        return None
    return response if response.status == 201 else None


def _kill_workers(system: System, role: str, done: object, wanted: int) -> int:
    """Kill the worker at random counts of progress, so that every kill meets running requests."""
    dice = random.Random(20261122)
    marks = sorted(dice.sample(range(5, CHARGES - 20), wanted))
    for mark in marks:
        until(lambda mark=mark: done() >= mark)  # type: ignore[operator]
        master = system.pid(role)
        children = until(lambda master=master: family(master)[1:])
        os.kill(children[0], signal.SIGKILL)
    return len(marks)
