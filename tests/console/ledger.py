"""Customers with money, and the pages about it."""

from typing import Any

from tests.console.browser import Browser, Page
from tests.console.provider import Customer, Provider


def money(customer: Customer, console: Browser, path: str = "payment") -> Page:
    """One of the customer's pages."""
    return console.get(console.at(f"/c/{customer.id}/{path}"))


def prepaid(provider: Provider, credits: str = "", limit: str = "") -> Customer:  # noqa: A002
    made = provider.customer(credits=credits, accept=False)
    if limit:
        made.staff("PATCH", "/account", {"credit_limit": limit})
    return made


def postpaid(provider: Provider, limit: str = "2000") -> Customer:
    return provider.customer(payment_mode="postpaid", credit_limit=limit, accept=False)


def charge(customer: Customer, amount: str, **more: Any) -> dict[str, Any]:
    body = {"amount": amount, "kind": "usage", "description": "Calls", **more}
    return dict(customer.money("charges", **body))
