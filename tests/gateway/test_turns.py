"""Of a customer's requests, two are handled at the same time; others do not wait for them."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from chassis.http.slots import TooManyAtOnce
from gateway.clients import InProcess
from gateway.guard.turns import TenantTurns

from tests.gateway.conftest import Build, World
from tests.gateway.fakes import ORG, bearer
from tests.waiting import until

OTHER = "org_01h455vb4pex5vsknk084sn02q"


class Held(InProcess):
    """An upstream that answers when it is told to, and notes what it got."""

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.got: list[str] = []
        self.go_on = threading.Semaphore(0)

    def forward(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        self.got.append(target)
        self.go_on.acquire()
        return super().forward(method, target, headers, body)


@pytest.fixture
def held(build: Build) -> Iterator[tuple[World, Held]]:
    world = build()
    upstream = Held(world.billing)
    world.app.extensions["forwarder"]._upstreams["billing"] = upstream
    yield world, upstream
    upstream.go_on.release(100)


def send(
    pool: ThreadPoolExecutor, world: World, path: str, organization_id: str = ORG, **headers: str
) -> "Future[Any]":
    token = bearer(org=organization_id, kind=headers.pop("kind", "customer"))
    client, method = world.app.test_client(), headers.pop("method", "GET")
    return pool.submit(client.open, path, method=method, headers={**token, **headers})


def test_a_customers_third_request_waits_and_those_of_others_do_not(
    held: tuple[World, Held],
) -> None:
    world, upstream = held
    with ThreadPoolExecutor(10) as pool:
        own = [send(pool, world, f"/v1/ledger?n={n}") for n in range(2)]
        until(lambda: len(upstream.got) == 2)
        own += [
            send(pool, world, "/v1/ledger?n=third"),
            send(pool, world, "/v1/ledger?n=a-read-waits-for-nothing", Prefer="wait=5"),
            send(
                pool,
                world,
                "/v1/ledger?n=another-preference",
                method="POST",
                Prefer="handling=strict",
            ),
        ]
        others = [
            send(pool, world, "/v1/ledger?n=other", OTHER),
            send(pool, world, "/v1/ledger?n=staff", ORG, kind="provider"),
            send(pool, world, "/v1/ledger?n=waiting", method="POST", Prefer="wait=5"),
        ]

        until(lambda: len(upstream.got) == 5)

        assert {target.partition("=")[2] for target in upstream.got[2:]} == {
            "other",
            "staff",
            "waiting",
        }
        upstream.go_on.release(1)
        until(lambda: len(upstream.got) == 6)
        upstream.go_on.release(100)
        assert {answer.result().status_code for answer in own + others} == {200}


def test_a_request_that_fails_passes_its_turn_on() -> None:
    turns = TenantTurns(1)
    for _ in range(3):
        with pytest.raises(RuntimeError), turns.take("one"):
            raise RuntimeError

    with turns.take("one"):
        pass

    assert (turns._running, turns._waiting) == ({}, {})


def test_who_waits_too_long_is_refused_and_takes_no_turn() -> None:
    turns = TenantTurns(1, patience=0.01)
    with turns.take("one"):
        with pytest.raises(TooManyAtOnce), turns.take("one"):
            pass
        with turns.take("two"):
            pass

    with turns.take("one"):
        pass


def test_turns_come_in_the_order_of_arrival() -> None:
    turns, order = TenantTurns(1), list[int]()

    def wait(number: int) -> None:
        with turns.take("one"):
            order.append(number)

    threads = []
    with turns.take("one"):
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            until(lambda: len(turns._waiting["one"]) == len(threads))
    for thread in threads:
        thread.join()

    assert order == [0, 1, 2, 3, 4]
