"""The warning that all clients have one address."""

import pytest
from chassis.runtime import log
from gateway.guard import AddressMonitor

from tests.gateway.conftest import Build
from tests.gateway.fakes import bearer

ONE, OTHER = "10.0.0.1", "10.0.0.2"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("addresses", "persons", "warns"),
    [([ONE], 5, True), ([ONE], 4, False), ([ONE, OTHER], 5, False), ([OTHER], 9, True)],
)
def test_one_address_for_many_people_is_reported_once_a_window(
    addresses: list[str], persons: int, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log.start(service="gateway")
    clock = Clock()
    monitor = AddressMonitor(clock)
    for number in range(persons):
        monitor.note(addresses[number % len(addresses)], f"idn_{number}")
    clock.now = 599.0
    monitor.note(addresses[0])
    early = capsys.readouterr().err
    clock.now = 600.0
    monitor.note(ONE)
    monitor.note(ONE)

    logged = capsys.readouterr().err
    assert early == "" and logged.count('"event": "clients.one_address"') == warns
    assert not warns or f'"client": "{addresses[0]}"' in logged


def test_the_gateway_reports_requests_with_and_without_a_token(build: Build) -> None:
    seen = []
    world = build()
    world.app.extensions["forwarder"]._monitor.note = lambda *noted: seen.append(noted)
    world.client.post("/v1/sessions", environ_overrides={"REMOTE_ADDR": ONE})
    world.client.get("/v1/me", headers=bearer(), environ_overrides={"REMOTE_ADDR": ONE})

    assert seen == [(ONE,), (ONE, "idn_1")]
