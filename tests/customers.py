"""A provider's staff member at work, through the public API only."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from devtools.demo.api import Answer, Api


def signed_in(address: str, password: str) -> Api:
    """The first administrator, signed in."""
    api = Api(address)
    answer = api.sign_in("admin@example.com", password)
    assert answer.status == 201, answer
    return api


def organization(**changes: Any) -> dict[str, Any]:
    """A body that opens a customer."""
    tag = secrets.token_hex(6)
    return {
        "name": f"Customer {tag}",
        "country": "DE",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "pricing_model": "app",
        "billing": {"email": f"billing-{tag}@customer.example"},
        "owner": {
            "given_name": "Ada",
            "family_name": "Owner",
            "email": f"owner-{tag}@customer.example",
        },
        **changes,
    }


def open_customer(api: Api, **changes: Any) -> str:
    """Open a customer and wait until it is active; its path."""
    answer = api.call(
        "POST", "/v1/organizations", organization(**changes), key=secrets.token_hex(8), wait=10
    )
    assert answer.status == 201, answer
    path = f"/v1/organizations/{answer.body['id']}"
    eventually(lambda: api.call("GET", path).body["status"] == "active")
    return path


def move(
    api: Api, path: str, what: str, amount: str, *, key: str | None = None, **more: Any
) -> Answer:
    """Top up, charge or withdraw."""
    usual: dict[str, dict[str, Any]] = {
        "top-ups": {"method": "cash"},
        "charges": {"kind": "usage", "description": "calls"},
        "withdrawals": {"method": "cash", "reason": "asked for it"},
    }
    body = {"amount": amount, **usual[what], **more}
    return api.call("POST", f"{path}/account/{what}", body, key=key or secrets.token_hex(8))


def actions(api: Api, path: str) -> list[str]:
    """What the timeline of a customer says was done, newest first."""
    return [row["action"] for row in api.call("GET", f"{path}/timeline?limit=200").body["data"]]


def eventually(condition: Callable[[], Any], seconds: float = 60, every: float = 0.02) -> Any:
    """What the condition answers once it holds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(every)
    return found
