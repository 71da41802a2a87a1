"""The load of the lag measurement, in a process of its own: charges at a fixed rate while
customers are opened and empty ones deleted."""

import itertools
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import urllib3
from chassis.db.database import Database
from devtools.demo.api import Api
from devtools.processes import ADMIN
from org import values
from org.models import Organization
from sqlalchemy import select

from tests import customers
from tests.bench.messages.observer import Observer
from tests.waiting import until

CUSTOMERS, EMPTY, CLIENTS = 30, 20, 8
# Openings and deletions per second.
CHANGES = 1.0
TOP_UP = "1000.00"
# Seconds after which what is not shown counts as lost.
LOST = 30.0


class Target(NamedTuple):
    """Where the services' web roles are, and org's database."""

    org: str
    billing: str
    membership: str
    password: str
    database: str


class Figures(NamedTuple):
    """``lags``: seconds from the 201 of a charge until org shows it; ``deletions``: seconds from
    DELETE until it is scheduled; ``statuses``: how often each request got each status."""

    lags: list[float]
    deletions: list[float]
    statuses: Counter[str]
    seconds: float


class Load:
    """The clients. Each request is sent once."""

    def __init__(self, target: Target, observer: Observer) -> None:
        self._target, self._observer = target, observer
        self._pool = urllib3.PoolManager(maxsize=CLIENTS + 2, retries=False, timeout=30.0)
        self.statuses: Counter[str] = Counter()
        self.customers: list[str] = []
        self.sign_in()

    def sign_in(self) -> None:
        """Get a token, valid for five minutes."""
        response = Api(self._target.membership).sign_in(ADMIN, self._target.password)
        self._token = str(response.body["access_token"])

    def prepare(self, database: Database) -> None:
        """Open customers with credits, and empty ones."""
        for _ in range(CUSTOMERS + EMPTY):
            self.open_customer()
        empty = self._observer.empty
        until(lambda: len(empty) == CUSTOMERS + EMPTY, state=lambda: self.statuses)
        self.customers = [empty.popleft() for _ in range(CUSTOMERS)]
        for customer in self.customers:
            self._post(self._account(customer, "top-ups"), {"amount": TOP_UP, "method": "cash"})
        paid = select(Organization.id).where(
            Organization.id.in_(self.customers),
            Organization.usable_units == values.micro_units(TOP_UP),
        )

        def shown() -> bool:
            with database.reading() as session:
                return len(session.scalars(paid).all()) == CUSTOMERS

        until(shown, state=lambda: self.statuses)
        self.statuses.clear()
        self.sign_in()

    def run(self, rate: float, seconds: float) -> float:
        """Charge so many times a second, open and delete; how long it took."""
        began = time.monotonic()
        charges, lock = iter(_paced(began, rate, seconds)), threading.Lock()

        def charge() -> None:
            while True:
                with lock:
                    number = next(charges, None)
                if number is None:
                    return
                self.charge(self.customers[number % len(self.customers)])

        def change(what: Callable[[], None]) -> None:
            for _ in _paced(began, CHANGES, seconds):
                what()

        threads = [threading.Thread(target=charge) for _ in range(CLIENTS)]
        threads += [
            threading.Thread(target=change, args=(what,))
            for what in (self.open_customer, self.delete_customer)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began

    def charge(self, customer: str) -> None:
        """Charge a cent."""
        body = {"amount": "0.01", "kind": "usage", "description": "Calls abroad"}
        charged = self._post(self._account(customer, "charges"), body)
        if charged:
            left = values.micro_units(charged["balance_after"])
            self._observer.expect_charge(customer, left)

    def open_customer(self) -> None:
        """Open a customer without credits."""
        opened = self._post(f"{self._target.org}/v1/organizations", customers.organization())
        if opened:
            self._observer.expect_opening(opened["id"])

    def delete_customer(self) -> None:
        """Delete the customer that has been empty for longest, if there is one."""
        if not self._observer.empty:
            return
        customer, requested = self._observer.empty.popleft(), time.time()
        path = f"{self._target.org}/v1/organizations/{customer}"
        if self._send("DELETE", path, {"reason": "No longer needed"}):
            self._observer.expect_deletion(customer, requested)

    def _account(self, customer: str, what: str) -> str:
        return f"{self._target.billing}/v1/organizations/{customer}/account/{what}"

    def _post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._send("POST", url, body)

    def _send(self, method: str, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body of the response, empty if the request was refused."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Idempotency-Key": secrets.token_hex(8),
        }
        try:
            response = self._pool.request(method, url, json=body, headers=headers)
        except urllib3.exceptions.HTTPError as problem:
            self.statuses[f"{method} {type(problem).__name__}"] += 1
            return {}
        kind = url.rpartition("/")[2] if method == "POST" else "organization"
        answer = dict(response.json())
        outcome = response.status if response.status < 300 else answer.get("code")
        self.statuses[f"{method} {kind} {outcome}"] += 1
        return answer if response.status < 300 else {}


def run(target: Target, rate: float, seconds: float, results: Any) -> None:
    """Prepare, load, observe until everything has arrived, and put the ``Figures``."""
    database, stop = Database(target.database, pool_size=2), threading.Event()
    observer = Observer(database)
    watching = threading.Thread(target=observer.run, args=(stop,), daemon=True)
    watching.start()
    load = Load(target, observer)
    load.prepare(database)
    began = time.time()
    took = load.run(rate, seconds)
    lags, deletions = observer.await_the_end(began, LOST)
    stop.set()
    watching.join()
    results.put(Figures(lags, deletions, load.statuses, took))


def _paced(began: float, rate: float, seconds: float) -> Iterator[int]:
    """Numbers from 0 on, each when it is due; after a delay without a pause."""
    for number in itertools.count():
        due = began + number / rate
        if due >= began + seconds:
            return
        time.sleep(max(due - time.monotonic(), 0.0))
        yield number
