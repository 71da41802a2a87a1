"""The primary of PostgreSQL dies and its standby takes over; a node of RabbitMQ dies that leads the
queues. Meanwhile customers are charged and opened. Nothing is lost, and no process of ours is
started again."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal

import pytest
from chassis.db.database import Database
from chassis.messaging.inbox_models import DeadLetter, WaitingMessage
from chassis.messaging.outbox import OutboxRow
from devtools.demo.api import Unreachable
from devtools.processes import System
from devtools.servers import RabbitMQCluster, ReplicatedPostgres
from sqlalchemy import func, select

from tests import customers
from tests.servers import NO_SYNC
from tests.waiting import until

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1200)]
SERVICES = ("org", "billing", "membership")
ROLES = (*(f"{s}-{r}" for s in SERVICES for r in ("web", "listen", "relay", "tick")), "gateway-web")
AMOUNT, THREADS, PAUSE, CUSTOMERS = "1.000001", 3, 0.05, 12


@pytest.fixture(scope="module")
def servers() -> Iterator[ReplicatedPostgres]:
    with ReplicatedPostgres(NO_SYNC) as made:
        yield made


@pytest.fixture(scope="module")
def brokers() -> Iterator[RabbitMQCluster]:
    with RabbitMQCluster() as made:
        yield made


@pytest.fixture(scope="module")
def system(
    servers: ReplicatedPostgres,
    brokers: RabbitMQCluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    made = System(servers, brokers, tmp_path_factory.mktemp("failover"), settings={})
    with ExitStack() as at_the_end:
        at_the_end.callback(made.kill_all)
        made.prepare()
        brokers.settle()
        made.start(ROLES)
        made.await_ready()
        yield made


class Charges:
    """Charges of one customer, each sent again with its key until it is acknowledged."""

    def __init__(self, system: System) -> None:
        self.api = customers.sign_in_as_admin(system.address, system.password)
        self.path = customers.open_customer(self.api)
        customers.transact(self.api, self.path, "top-ups", "1000.00")
        self._impatient = customers.sign_in_as_admin(system.address, system.password)
        self._impatient.tries = 0
        self.acknowledged: dict[str, str] = {}
        self.interrupted: set[str] = set()
        self._numbers = itertools.count()

    def try_once(self, key: str) -> customers.Answer | None:
        try:
            response = customers.transact(self._impatient, self.path, "charges", AMOUNT, key=key)
        except Unreachable:
            self.interrupted.add(key)
            return None
        if response.status >= 500:
            self.interrupted.add(key)
        return response if response.status == 201 else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Charge in several threads meanwhile."""
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                key = f"charge-{next(self._numbers)}"
                response = until(lambda key=key: self.try_once(key), every=0.2)
                self.acknowledged[key] = response.body["id"]
                stop.wait(PAUSE)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def go_on(self, more: int = 30) -> None:
        """Return once this many more are acknowledged."""
        wanted = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= wanted)

    def check(self) -> None:
        """Each acknowledged charge is booked once."""
        again = {key: self.try_once(key) for key in self.acknowledged}
        assert {key: a and a.body["id"] for key, a in again.items()} == self.acknowledged
        assert all(a and a.replayed for a in again.values())
        balance = Decimal(self.api.call("GET", f"{self.path}/account").body["balance"])
        assert balance == Decimal(1000) - len(self.acknowledged) * Decimal(AMOUNT)


@pytest.fixture
def charges(system: System) -> Charges:
    return Charges(system)


@pytest.fixture
def same_processes(system: System) -> Iterator[None]:
    before = {name: system.pid(name) for name in ROLES}
    yield
    assert {name: system.pid(name) for name in ROLES if system.is_running(name)} == before


def rows_of(system: System, service: str) -> dict[str, int]:
    """Messages of a service that were not sent, wait to be applied, or cannot be."""
    database = Database(system.database_url(service), pool_size=1)
    unsent = select(func.count()).where(OutboxRow.published_at.is_(None))
    try:
        with database.reading() as session:
            return {
                "unsent": session.scalar(unsent) or 0,
                "waiting": session.scalar(select(func.count(WaitingMessage.id))) or 0,
                "dead": session.scalar(select(func.count(DeadLetter.id))) or 0,
            }
    finally:
        database.close()


def until_quiet(system: System, brokers: RabbitMQCluster, queues: set[str]) -> None:
    """Every message has been sent and applied, none was given up, and each queue has a leader."""
    quiet = {service: {"unsent": 0, "waiting": 0, "dead": 0} for service in SERVICES}

    def state() -> object:
        return {s: rows_of(system, s) for s in SERVICES} | {"queues": brokers.depths()}

    until(lambda: state() == quiet | {"queues": dict.fromkeys(queues, 0)}, every=1, state=state)


def is_projected(charges: Charges) -> bool:
    """Whether org knows the customer's balance, of which billing tells it by a message."""
    account = charges.api.call("GET", f"{charges.path}/account").body
    listed = charges.api.call("GET", "/v1/organizations?limit=200").body["data"]
    [customer] = [each for each in listed if charges.path.endswith(each["id"])]
    return bool(customer["summary"]["balance"] == account["balance"])


@pytest.mark.usefixtures("same_processes")
def test_the_death_of_the_node_that_leads_the_queues(
    system: System, brokers: RabbitMQCluster, charges: Charges
) -> None:
    opened: list[str] = []
    queues, leader = set(brokers.depths()), brokers.busiest()

    def open_customers() -> None:
        for _ in range(CUSTOMERS):
            opened.append(customers.open_customer(charges.api))

    opening = threading.Thread(target=open_customers, daemon=True)
    with charges.running():
        opening.start()
        until(lambda: len(opened) >= 2)
        leader.kill()
        opening.join()
        charges.go_on()

    assert len(opened) == CUSTOMERS
    until(lambda: is_projected(charges), every=0.2)
    until_quiet(system, brokers, queues)
    charges.check()


@pytest.mark.usefixtures("same_processes")
def test_the_death_of_the_primary(
    system: System, servers: ReplicatedPostgres, brokers: RabbitMQCluster, charges: Charges
) -> None:
    queues = set(brokers.depths())
    with charges.running():
        charges.go_on()
        servers.primary.kill()
        until(lambda: charges.interrupted)
        servers.standby.promote()
        charges.go_on()

    customers.open_customer(charges.api)
    until(lambda: is_projected(charges), every=0.2)
    until_quiet(system, brokers, queues)
    charges.check()
