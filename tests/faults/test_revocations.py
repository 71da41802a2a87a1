"""Ended access is refused at the gateway soon, with or without the broker. If revocations cannot be
read, no one gets in."""

from collections.abc import Iterator

import pytest
from devtools.processes import System
from devtools.servers import RabbitMQ

from tests import customers
from tests.revocations import Scene
from tests.waiting import until

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
def scene(system: System) -> Scene:
    return Scene(system, times=2)


@pytest.fixture(scope="module")
def without_broker(scene: Scene, system: System, rabbitmq: RabbitMQ) -> Iterator[Scene]:
    rabbitmq.kill()
    yield scene
    rabbitmq.restart()
    system.await_ready()


@pytest.mark.parametrize("way", WAYS)
def test_a_token_is_refused_soon(scene: Scene, way: str) -> None:
    ending = next(e for e in scene.endings() if e.name == way)

    scene.seconds_until_refused(ending)


@pytest.mark.parametrize("way", WAYS)
def test_a_token_is_refused_soon_without_the_broker(without_broker: Scene, way: str) -> None:
    ending = next(e for e in without_broker.endings() if e.name == way)

    without_broker.seconds_until_refused(ending)


def test_without_a_revocation_feed_no_one_gets_in(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    assert api.call("GET", "/v1/settings").status == 200
    system.stop(["membership-web"])
    given = {"Authorization": f"Bearer {api._token}"}
    try:
        refused = until(
            lambda: (a := api._once("GET", "/v1/settings", None, given)).status != 200 and a,
            every=0.1,
        )
    finally:
        system.start(["membership-web"])
    system.await_ready()

    assert (refused.status, refused.body["code"]) == (503, "service_unavailable")
    assert "Sessions cannot be checked" in refused.body["detail"]
    assert api.call("GET", "/v1/settings").status == 200
