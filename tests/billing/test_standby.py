"""Commits that wait for a synchronous standby: none counts as done before the standby has it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import LiteralString

import pytest
from billing.app import SERVICE
from billing.listeners import LISTENERS
from chassis.db import migrations
from chassis.db.database import Database
from chassis.db.health import is_unavailable
from chassis.messaging.inbox import Inbox
from contracts.org import OrganizationSuspended
from devtools.servers import ReplicatedPostgres
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from tests.billing.conftest import World
from tests.chassis import messages
from tests.servers import NO_SYNC
from tests.waiting import until

pytestmark = pytest.mark.exhaustive
WAITING = " FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
ENDED: dict[str, LiteralString] = {
    "canceled": "SELECT pg_cancel_backend(pid)" + WAITING,
    "terminated": "SELECT pg_terminate_backend(pid)" + WAITING,
}


@pytest.fixture(scope="module")
def servers() -> Iterator[ReplicatedPostgres]:
    with ReplicatedPostgres(NO_SYNC) as made:
        yield made


@pytest.fixture(scope="module")
def database(servers: ReplicatedPostgres) -> Iterator[Database]:
    urls = servers.fresh_database("billing")
    migrations.upgrade(SERVICE.migrations, urls.owner_url)
    made = Database(urls.app_url, pool_size=4)
    yield made
    made.close()


@pytest.fixture
def without_standby(servers: ReplicatedPostgres, world: World) -> Iterator[Callable[[], None]]:
    """The standby is gone until the test calls this."""
    servers.standby.kill()

    def back() -> None:
        servers.standby.restart()
        servers.await_standby()

    yield back
    if servers.standby.process is None:
        back()


def started(task: Callable[[], TestResponse]) -> Future[TestResponse]:
    return ThreadPoolExecutor(1).submit(task)


def is_waiting(servers: ReplicatedPostgres) -> bool:
    return bool(servers.primary.execute("SELECT count(*)" + WAITING))


@pytest.mark.parametrize("how", ENDED)
def test_a_charge_whose_wait_is_ended_is_not_acknowledged_until_the_standby_has_it(
    how: str, servers: ReplicatedPostgres, world: World, request: pytest.FixtureRequest
) -> None:
    customer = world.open(limit="10")
    back = request.getfixturevalue("without_standby")

    def charge() -> TestResponse:
        body = {"amount": "1", "kind": "usage", "description": "Calls"}
        return world.post(customer, "charges", body, key=f"charge-{how}")

    first = started(charge)
    until(lambda: is_waiting(servers), every=0.1)
    servers.primary.execute(ENDED[how])
    assert first.result(60).status_code == 503
    assert "Retry-After" in first.result().headers
    again = started(charge)
    until(lambda: again.done() or is_waiting(servers), every=0.1)
    assert not again.done()
    back()

    assert again.result(60).status_code == 201
    assert again.result().headers["Idempotent-Replayed"] == "true"
    assert world.account(customer)["balance"] == "-1.00"


def test_a_message_whose_wait_is_canceled_is_not_acknowledged_until_the_standby_has_it(
    servers: ReplicatedPostgres, world: World, request: pytest.FixtureRequest
) -> None:
    customer = world.open()
    inbox = Inbox(world.database, LISTENERS)
    data = {"organization_id": customer, "provider_id": world.provider_id}
    body = messages.raw(customer, source="/org", type=OrganizationSuspended.TYPE, data=data)
    back = request.getfixturevalue("without_standby")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(inbox.receive, body, published_by="org")
        until(lambda: is_waiting(servers), every=0.1)
        servers.primary.execute(ENDED["canceled"])
        problem = first.exception(60)
        again = pool.submit(inbox.receive, body, published_by="org", redelivered=True)
        until(lambda: again.done() or is_waiting(servers), every=0.1)
        was_done = again.done()
        back()
        again.result(60)

    assert isinstance(problem, DBAPIError) and is_unavailable(problem)
    assert not was_done
    assert world.account(customer)["status"] == "frozen"
    assert inbox.dead_letters() == []


def test_what_was_acknowledged_is_on_the_standby(servers: ReplicatedPostgres, world: World) -> None:
    """The last test here: the primary does not come back."""
    customer = world.open(limit="100")
    acknowledged = [world.charge(customer, "1")["id"] for _ in range(5)]

    servers.fail_over()

    def seen() -> bool:
        path = f"/v1/organizations/{customer}/account/transactions"
        response = world.call("GET", path)
        return (
            response.status_code == 200
            and [row["id"] for row in response.json["data"]] == acknowledged[::-1]
        )

    until(seen)
    world.charge(customer, "1")
    assert world.account(customer)["balance"] == "-6.00"
