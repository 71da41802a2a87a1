"""kill -9 at the failpoints of relay and consumer: nothing is lost, nothing is done twice."""

import pytest
from devtools.processes import System

from tests import customers
from tests.waiting import until

POINTS = [
    pytest.param("org-relay", "relay.selected", id="after the commit, before publishing"),
    pytest.param("org-relay", "relay.published", id="after the publish, before marking it"),
    pytest.param("billing-listen", "consumer.before_commit", id="before the effect's commit"),
    pytest.param(
        "billing-listen", "consumer.before_ack", id="after the effect's commit, before the ack"
    ),
    # The same points in the other services, which run the same relay and consumer.
    pytest.param(
        "billing-relay",
        "relay.published",
        id="a reply published but not marked",
        marks=pytest.mark.exhaustive,
    ),
    pytest.param(
        "membership-listen",
        "consumer.before_ack",
        id="membership's effect committed, not acknowledged",
        marks=pytest.mark.exhaustive,
    ),
    pytest.param(
        "org-listen",
        "consumer.before_ack",
        id="org's effect committed, not acknowledged",
        marks=pytest.mark.exhaustive,
    ),
]


@pytest.mark.parametrize(("role", "point"), POINTS)
def test_a_deletion_survives_a_kill_at(system: System, role: str, point: str) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    path = customers.open_customer(api)
    customers.transact(api, path, "top-ups", "5.00")
    customers.transact(api, path, "withdrawals", "5.00")
    system.stop([role])
    system.start([role], CLIENTELE_FAILPOINT=point)

    requested = api.call("DELETE", path, {"reason": "crash test"})
    died = system.await_death(role)
    system.start([role])

    assert requested.status == 202
    assert died == -9
    deletion = until(
        lambda: (d := api.call("GET", f"{path}/deletion").body)["status"] == "scheduled" and d
    )
    assert deletion["id"] == requested.body["id"]
    timeline = until(
        lambda: (lines := customers.actions(api, path)).count("deletion.scheduled") and lines
    )
    assert timeline.count("deletion.requested") == timeline.count("deletion.scheduled") == 1
    assert timeline.count("account.closed") == 1
    kinds = [row["kind"] for row in api.call("GET", f"{path}/account/transactions").body["data"]]
    assert kinds == ["withdrawal", "top_up"]
