"""Requests about money, through the public address."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chassis.runtime import clock
from devtools.demo.api import Api

from tests.customers import transact


def post(api: Api, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    """The body of the response to a POST with an idempotency key of its own."""
    response = api.call("POST", path, body, key=secrets.token_hex(8))
    assert response.status == status, response
    return response.body


def get(api: Api, path: str) -> dict[str, Any]:
    response = api.call("GET", path)
    assert response.status == 200, response
    return response.body


def transacted(api: Api, path: str, what: str, amount: str, **more: Any) -> dict[str, Any]:
    response = transact(api, path, what, amount, **more)
    assert response.status == 201, response
    return response.body


def figures(api: Api, path: str, *names: str) -> tuple[str, ...]:
    """These figures of the account."""
    account = get(api, f"{path}/account")
    return tuple(account[name] for name in names)


def usage(path: str, number: int, amount: str = "0.10", **more: Any) -> list[dict[str, Any]]:
    tag = secrets.token_hex(4)
    return [
        {
            "id": f"{tag}-{n}",
            "organization_id": path.rpartition("/")[2],
            "amount": amount,
            "at": clock.stamp(clock.now()),
            "description": f"Call {n}",
            **more,
        }
        for n in range(number)
    ]


@contextmanager
def settings(api: Api, **chosen: Any) -> Iterator[None]:
    """Change the provider's settings for the duration."""
    before = get(api, "/v1/settings")
    try:
        assert api.call("PATCH", "/v1/settings", chosen, wait=10).status == 200
        yield
    finally:
        api.call("PATCH", "/v1/settings", {name: before[name] for name in chosen}, wait=10)
