"""Slow clients are cut off: a minimum rate and a total time, for requests and for responses."""

import socket
from collections.abc import Iterator

import pytest
from chassis.runtime.paced_socket import Budget, Pace, PacedSocket

PACE = Pace(patience=10, rate=1000, total=60)
Pair = tuple[PacedSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A server's end that waits for next to no time, and its client's."""
    server, client = socket.socketpair()
    paced = PacedSocket.of(server, Pace(patience=0.01, rate=10**9, total=60))
    yield paced, client
    paced.close()
    client.close()


def test_waiting_uses_up_the_patience_and_bytes_bring_it_back() -> None:
    budget = Budget(PACE)
    budget.spend(8, 0)
    assert budget.seconds(0) == 2
    assert budget.seconds(3000) == 5, "so many bytes may take three seconds"

    budget.spend(2, 4000)

    assert budget.seconds(0) == 4


def test_a_fast_beginning_buys_no_long_pause_later() -> None:
    budget = Budget(PACE)

    budget.spend(0.1, 10**9)

    assert budget.seconds(0) == 10


def test_a_client_at_exactly_the_minimum_rate_is_cut_off_after_the_total_time() -> None:
    budget = Budget(PACE)

    for _ in range(60):
        assert budget.seconds(1000) > 0
        budget.spend(1, 1000)

    assert budget.seconds(1000) == 0


def test_a_reader_that_takes_nothing_is_cut_off(pair: Pair) -> None:
    paced, _client = pair

    with pytest.raises(ConnectionResetError):
        paced.sendall(b"x" * 10_000_000)


def test_a_sender_that_sends_nothing_more_is_cut_off(pair: Pair) -> None:
    paced, client = pair
    client.sendall(b"POST /v1/usage")
    assert paced.recv(100) == b"POST /v1/usage"

    with pytest.raises(ConnectionResetError):
        paced.recv(100)
    with pytest.raises(ConnectionResetError):
        paced.recv(100)


def test_the_next_request_has_a_budget_of_its_own(pair: Pair) -> None:
    paced, client = pair
    with pytest.raises(ConnectionResetError):
        paced.recv(100)
    client.sendall(b"GET")

    paced.begin()

    assert paced.recv(100) == b"GET"


def test_a_socket_that_is_polled_behaves_like_any(pair: Pair) -> None:
    paced, _client = pair
    paced.setblocking(False)

    with pytest.raises(BlockingIOError):
        paced.recv(100)
