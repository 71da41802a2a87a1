"""Access that ends is refused at the gateway soon, broker or not; where nobody can say who is out,
nobody is let in."""

import time
from collections.abc import Iterator

import pytest
from devtools.processes import System
from devtools.servers import RabbitMQ

from tests import customers
from tests.revocations import Stage

WAYS = (
    "organization suspended",
    "member disabled",
    "member removed",
    "signed out",
    "ownership transferred",
    "support grant ended",
    "Login As ended",
)


@pytest.fixture(scope="module")
def stage(system: System) -> Stage:
    return Stage(system, times=2)


@pytest.fixture(scope="module")
def without_broker(stage: Stage, system: System, rabbitmq: RabbitMQ) -> Iterator[Stage]:
    rabbitmq.kill()
    yield stage
    rabbitmq.restart()
    system.await_ready()


@pytest.mark.parametrize("way", WAYS)
def test_a_token_dies_soon(stage: Stage, way: str) -> None:
    ending = next(e for e in stage.endings() if e.name == way)

    stage.seconds(ending)


@pytest.mark.parametrize("way", WAYS)
def test_a_token_dies_soon_without_the_broker(without_broker: Stage, way: str) -> None:
    ending = next(e for e in without_broker.endings() if e.name == way)

    without_broker.seconds(ending)


def test_after_ten_seconds_of_silence_nobody_gets_in(system: System) -> None:
    api = customers.signed_in(system.address, system.password)
    assert api.call("GET", "/v1/settings").status == 200
    began = time.monotonic()
    system.stop(["membership-web"])
    given = {"Authorization": f"Bearer {api._token}"}
    try:
        refused = customers.eventually(
            lambda: (a := api._once("GET", "/v1/settings", None, given)).status != 200 and a,
            every=0.1,
        )
        took = time.monotonic() - began
    finally:
        system.start(["membership-web"])
    system.await_ready()

    assert (refused.status, refused.body["code"]) == (503, "service_unavailable")
    assert "revoked" in refused.body["detail"]
    assert took > 8
    assert api.call("GET", "/v1/settings").status == 200
