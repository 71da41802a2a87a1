"""``Prefer: wait``: how long, and how many at once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from chassis.auth.callers import Caller
from chassis.http.prefer_wait import Waiting, wanted_seconds
from flask import Flask, g


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=3", 3),
        ("wait=10", 10),
        ("wait=99", 10),
        ("respond-async, wait=5", 5),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=x", 0),
        ("wait=1.5", 0),
        ("await=5", 0),
        ("", 0),
        ("wait=99999", 0),
    ],
)
def test_a_client_may_prefer_to_wait_up_to_ten_seconds(prefer: str, seconds: int) -> None:
    with Flask("waiting").test_request_context(headers={"Prefer": prefer}):
        assert wanted_seconds() == seconds


def test_a_request_beyond_the_capacity_does_not_wait() -> None:
    waiting, looked, leave = Waiting(1), threading.Event(), threading.Event()
    app = Flask("waiting")

    def look() -> str | None:
        looked.set()
        return "known" if leave.is_set() else None

    def wait() -> None:
        with app.test_request_context(headers={"Prefer": "wait=10"}):
            outcomes.append(waiting.until(look))

    outcomes: list[Any] = []
    first = threading.Thread(target=wait)
    first.start()
    looked.wait(60)
    with app.test_request_context(headers={"Prefer": "wait=10"}):
        assert waiting.until(lambda: "never looked") is None
    leave.set()
    first.join()
    assert outcomes == ["known"]
    with app.test_request_context(headers={"Prefer": "wait=10"}):
        assert waiting.until(lambda: "free again") == "free again"


def test_a_tenant_at_its_share_does_not_wait_and_others_do() -> None:
    waiting, app = Waiting(4), Flask("waiting")

    def wait(organization: str, kind: str, look: Callable[[], Any]) -> Any:
        with app.test_request_context(headers={"Prefer": "wait=10"}):
            g.caller = Caller("idn_1", organization, kind, "owner", "ses_1")
            return waiting.until(look)

    def inner() -> str:
        assert wait("a", "customer", lambda: "never looked") is None
        assert wait("b", "customer", lambda: "b") == "b"
        assert wait("p", "provider", lambda: "p") == "p"
        return "a"

    assert wait("a", "customer", lambda: wait("a", "customer", inner)) == "a"

    def last() -> str:
        assert wait("p", "provider", lambda: "never looked") is None
        return str(wait("b", "customer", lambda: "b"))

    staff = wait(
        "p", "provider", lambda: wait("p", "provider", lambda: wait("p", "provider", last))
    )
    assert staff == "b"


def test_a_request_that_does_not_wait_takes_no_capacity_and_never_looks() -> None:
    with Flask("waiting").test_request_context():
        assert Waiting(1).until(lambda: pytest.fail("looked")) is None
