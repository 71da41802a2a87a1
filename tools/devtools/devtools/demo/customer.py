"""The customer whose life is told."""

import secrets
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from devtools.demo.api import Answer, Api
from devtools.demo.telling import Teller


@dataclass
class Customer:
    """One customer of this run. ``api``: the provider's administrator; ``owner``: its owner, once
    signed in."""

    api: Api
    tell: Teller
    id: str = ""
    balance: Decimal = Decimal(0)
    owner: Api | None = None
    owner_password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    run: str = field(default_factory=lambda: secrets.token_hex(6))
    currency: str = "SGD"

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return f"/v1/organizations/{self.id}"

    @property
    def owner_email(self) -> str:
        """Another one in each run, so that the demo can be told again."""
        return f"mei.lin.{self.run}@lantern-quay.example"

    @property
    def organization(self) -> dict[str, Any]:
        """What is sent to open it."""
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
        """Read it, or something of it."""
        return self.api.call("GET", f"{self.path}/{what}".rstrip("/"))

    def post(self, what: str, body: dict[str, Any], step: str, *, wait: int = 0) -> Answer:
        """Do something to it."""
        return self.api.call("POST", f"{self.path}/{what}", body, key=self.key(step), wait=wait)


def money(amount: Decimal) -> str:
    """As the contract writes it: two decimals at least, six at most, nothing rounded."""
    whole, _, part = f"{amount:.6f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"
