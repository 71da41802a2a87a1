"""The customer of the demo."""

import secrets
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from devtools.demo.api import Answer, Api
from devtools.demo.narrator import Narrator


@dataclass
class Customer:
    """A customer of this run. ``api``: as the provider's administrator; ``owner``: as its owner,
    once signed in."""

    api: Api
    tell: Narrator
    id: str = ""
    balance: Decimal = Decimal(0)
    owner: Api | None = None
    owner_password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    run: str = field(default_factory=lambda: secrets.token_hex(6))
    currency: str = "SGD"

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/v1/organizations/{self.id}"

    @property
    def owner_email(self) -> str:
        """A different address in each run, so that the demo can be repeated."""
        return f"mei.lin.{self.run}@lantern-quay.example"

    @property
    def organization(self) -> dict[str, Any]:
        """The body of the request that creates it."""
        return {
            "name": "Lantern Quay “Bed & Breakfast” (No. 7)",
            "country": "SG",
            "currency": self.currency,
            "timezone": "Asia/Singapore",
            "pricing_model": "app",
            "payment_mode": "prepaid",
            "billing": {
                "email": "accounts@lantern-quay.example",
                "address": "7 Lantern Quay",
                "city": "Singapore",
            },
            "owner": {"given_name": "Mei Lin", "family_name": "Teo", "email": self.owner_email},
            "buyer_tags": {"CustomerRef": f"DEMO-{self.run}"},
            "demo": True,
        }

    def key(self, step: str) -> str:
        """The Idempotency-Key of a step of this run."""
        return f"life-{self.run}-{step}"

    def get(self, what: str = "") -> Answer:
        """GET the customer, or something below it."""
        return self.api.call("GET", f"{self.path}/{what}".rstrip("/"))

    def post(self, what: str, body: dict[str, Any], step: str, *, wait: int = 0) -> Answer:
        """POST to something below the customer."""
        return self.api.call("POST", f"{self.path}/{what}", body, key=self.key(step), wait=wait)


def money(amount: Decimal) -> str:
    """An amount as the API writes it: two to six decimals, never rounded."""
    whole, _, part = f"{amount:.6f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"
