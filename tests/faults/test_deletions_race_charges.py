"""Deletions against charges on the credit limit: no customer is deleted with a debt, and never do
both succeed."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from devtools.processes import System

from tests import customers
from tests.waiting import until


@pytest.mark.parametrize("count", [30, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_a_deletion_and_a_charge_never_both_succeed(system: System, count: int) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    with ThreadPoolExecutor(4) as pool:
        paths = list(
            pool.map(lambda _: customers.open_customer(api, credit_limit="10.00"), range(count))
        )

    with ThreadPoolExecutor(2) as pool:
        dice = random.Random(20261122)
        starts = [0.0] * 5 + [dice.uniform(0, 0.2) for _ in paths[10:]] + [None] * 5
        results = list(pool.map(lambda path, start: _race(api, path, start), paths, starts))

    outcomes = Counter((deletion, charge) for deletion, charge, _ in results)
    print("\n(deletion, charge): how often", dict(outcomes))
    assert set(outcomes) <= {("scheduled", 409), ("refused", 201)}, outcomes
    assert len(outcomes) == 2, f"the same side always won the race: {outcomes}"
    for deletion, _charge, balance in results:
        assert balance == ("0.00" if deletion == "scheduled" else "-4.00")


def _race(api: customers.Api, path: str, head_start: float | None) -> tuple[str, int, str]:
    charged: list[int] = []
    ready = threading.Barrier(2)

    def charge() -> None:
        ready.wait()
        if head_start is None:
            until(lambda: api.call("GET", f"{path}/account").body["status"] == "closed")
        else:  # the deletion has hops to go; without a head start it always loses
            threading.Event().wait(head_start)
        charged.append(customers.transact(api, path, "charges", "4.00").status)

    other = threading.Thread(target=charge)
    other.start()
    ready.wait()
    api.call("DELETE", path, {"reason": "race"})
    other.join()
    deletion = until(
        lambda: (d := api.call("GET", f"{path}/deletion").body)["status"] != "asked" and d
    )
    return deletion["status"], charged[0], api.call("GET", f"{path}/account").body["balance"]
