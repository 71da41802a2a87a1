"""A customer as a request creates it."""

from typing import Any

GOOD: dict[str, Any] = {
    "name": "Acme Ltd",
    "country": "DE",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "pricing_model": "app",
    "billing": {"email": "bills@acme.example"},
    "owner": {"given_name": "Olga", "family_name": "Owner", "email": "olga@acme.example"},
}
