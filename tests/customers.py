"""Opening customers and moving their money through the API, as the provider's administrator."""

import secrets
from typing import Any

from devtools.demo.api import Answer, Api

from tests.waiting import until


def sign_in_as_admin(address: str, password: str) -> Api:
    """A client signed in as the first administrator."""
    api = Api(address)
    response = api.sign_in("admin@example.com", password)
    assert response.status == 201, response
    return api


def organization(**changes: Any) -> dict[str, Any]:
    """A request body that creates a customer."""
    suffix = secrets.token_hex(6)
    return {
        "name": f"Customer {suffix}",
        "country": "DE",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "pricing_model": "app",
        "billing": {"email": f"billing-{suffix}@customer.example"},
        "owner": {
            "given_name": "Ada",
            "family_name": "Owner",
            "email": f"owner-{suffix}@customer.example",
        },
        **changes,
    }


def open_customer(api: Api, **changes: Any) -> str:
    """Create a customer and wait until it is active; returns its path."""
    response = api.call(
        "POST", "/v1/organizations", organization(**changes), key=secrets.token_hex(8), wait=10
    )
    assert response.status == 201, response
    path = f"/v1/organizations/{response.body['id']}"
    until(lambda: api.call("GET", path).body["status"] == "active")
    return path


def transact(
    api: Api, path: str, what: str, amount: str, *, key: str | None = None, **more: Any
) -> Answer:
    """Top up, charge or withdraw."""
    defaults: dict[str, dict[str, Any]] = {
        "top-ups": {"method": "cash"},
        "charges": {"kind": "usage", "description": "calls"},
        "withdrawals": {"method": "cash", "reason": "asked for it"},
    }
    body = {"amount": amount, **defaults[what], **more}
    return api.call("POST", f"{path}/account/{what}", body, key=key or secrets.token_hex(8))


def actions(api: Api, path: str) -> list[str]:
    """The actions in a customer's timeline, newest first."""
    return [row["action"] for row in api.call("GET", f"{path}/timeline?limit=200").body["data"]]
