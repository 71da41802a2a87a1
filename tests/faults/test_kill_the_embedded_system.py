"""kill -9 of the whole embedded process group during the main scenario, repeatedly."""

import random
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests import customers
from tests.embedded import Embedded
from tests.waiting import until

SEED = 20261122
# The other points are those at which single processes are killed in test_kill_during_messaging.py,
# and one before anything is stored.
POINTS = [
    "consumer.before_commit",
    "application.after_commit",
    *(
        pytest.param(point, marks=pytest.mark.exhaustive)
        for point in ("relay.selected", "relay.published", "application.before_commit")
    ),
]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    system = Embedded(tmp_path_factory.mktemp("killed"))
    yield system
    if system.process is not None:
        system.kill()


@pytest.fixture
def embedded(installation: Embedded) -> Embedded:
    """A running system; every test goes on with the data of the one before."""
    if installation.process is None:
        installation.start()
    return installation


def test_nothing_acknowledged_is_lost_or_booked_twice(embedded: Embedded) -> None:
    dice = random.Random(SEED)
    acknowledged: dict[str, str] = {}
    path = customers.open_customer(customers.sign_in_as_admin(embedded.address, embedded.password))
    _top_up(embedded, path)

    for round_ in range(3):
        stop = threading.Event()
        workers = [
            threading.Thread(
                target=_charge_until, args=(embedded, path, f"{round_}-{n}", stop, acknowledged)
            )
            for n in range(3)
        ]
        for worker in workers:
            worker.start()
        wanted = len(acknowledged) + dice.randint(5, 25)
        until(lambda wanted=wanted: len(acknowledged) >= wanted)
        embedded.kill()
        stop.set()
        for worker in workers:
            worker.join()
        embedded.start()

    api = customers.sign_in_as_admin(embedded.address, embedded.password)
    again = {
        key: customers.transact(api, path, "charges", "0.010001", key=key) for key in acknowledged
    }
    assert {key: a.body["id"] for key, a in again.items()} == acknowledged
    rows = _all_transactions(api, path)
    charges = [row for row in rows if row["kind"] == "usage"]
    assert len(charges) == len({row["id"] for row in charges})
    assert {row["id"] for row in charges} >= set(acknowledged.values())
    balance = Decimal(api.call("GET", f"{path}/account").body["balance"])
    assert balance == Decimal(100) - len(charges) * Decimal("0.010001")


@pytest.mark.parametrize("point", POINTS)
def test_a_saga_finishes_after_a_kill_at(embedded: Embedded, point: str) -> None:
    api = customers.sign_in_as_admin(embedded.address, embedded.password)
    path = customers.open_customer(api)
    key = f"create-{point}"
    until(lambda: "organization.activated" in customers.actions(api, path))
    embedded.kill()
    embedded.start(CLIENTELE_FAILPOINT=point)
    body = customers.organization()

    _ignore_failure(
        lambda: customers.sign_in_as_admin(embedded.address, embedded.password).call(
            "POST", "/v1/organizations", body, key=key
        )
    )
    embedded.await_death()
    embedded.start()

    api = customers.sign_in_as_admin(embedded.address, embedded.password)
    created = api.call("POST", "/v1/organizations", body, key=key, wait=10)
    assert created.status == 201
    fresh = f"/v1/organizations/{created.body['id']}"
    until(lambda: api.call("GET", fresh).body["status"] == "active")
    rows = api.call("GET", f"/v1/organizations?q={body['name'][-12:]}").body["data"]
    assert [row["id"] for row in rows] == [created.body["id"]]
    for action in ("organization.created", "account.opened", "organization.activated"):
        until(lambda action=action: customers.actions(api, fresh).count(action) == 1)
    assert api.call("DELETE", path, {}, wait=10).body["status"] == "scheduled"


def test_it_is_ready_again_and_stops_cleanly(embedded: Embedded) -> None:
    embedded.stop()

    took = embedded.start()
    pids = embedded.processes()
    modes = {file.stat().st_mode & 0o777 for file in (embedded.folder / "var").glob("*.db*")}
    code = embedded.stop()

    print(f"\nready on a further start in {took:.1f} s; {len(pids)} processes")
    assert code == 0
    assert modes == {0o600}, "databases are readable by their owner only"


def _top_up(embedded: Embedded, path: str) -> None:
    api = customers.sign_in_as_admin(embedded.address, embedded.password)
    assert customers.transact(api, path, "top-ups", "100.00").status == 201


def _charge_until(
    embedded: Embedded, path: str, name: str, stop: threading.Event, done: dict[str, str]
) -> None:
    api = customers.sign_in_as_admin(embedded.address, embedded.password)
    n = 0
    while not stop.is_set():
        n += 1
        key = f"{name}-{n}"
        try:
            answer = api._once(
                "POST",
                f"{path}/account/charges",
                {"amount": "0.010001", "kind": "usage", "description": "calls"},
                {"Idempotency-Key": key, "Authorization": f"Bearer {api._token}"},
            )
        except Exception:
            return
        if answer.status == 201:
            done[key] = answer.body["id"]


def _ignore_failure(call: object) -> None:
    try:
        call()  # type: ignore[operator]
    except Exception:
        return


def _all_transactions(api: customers.Api, path: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    cursor = ""
    while True:
        page = api.call("GET", f"{path}/account/transactions?limit=200{cursor}").body
        rows += page["data"]
        if not page["has_more"]:
            return rows
        cursor = f"&cursor={page['next_cursor']}"
