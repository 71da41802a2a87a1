"""For each route that changes something, a body with every field; and the rows it could change."""

import itertools
import json
import re
from typing import Any, NamedTuple

import marshmallow as ma
from billing.models.table import Base as Tables
from chassis.db import columns
from chassis.runtime import clock
from sqlalchemy import func, select, text

from tests.billing.conftest import World

O = "/v1/organizations/<organization_id>"  # noqa: E741
ODD = "Zähler İ ١ 😀 עברית e\u0301"
REASON = {"reason": ODD}
# For each route that changes something, a body with every field.
BODIES: dict[str, dict[str, Any]] = {
    f"PATCH {O}/account": {
        "payment_mode": "postpaid",
        "credit_limit": "900",
        "credit_limit_expires_at": "2999-01-01T00:00:00Z",
        "auto_top_up": {"enabled": False, "threshold": "5", "amount": "50", "method": "cheque"},
    },
    f"POST {O}/account/top-ups": {
        "amount": "1.5",
        "method": "cash",
        "reference": ODD,
        "remark": ODD,
        "invoice_ids": ["<due_id>"],
    },
    f"POST {O}/account/withdrawals": {
        "amount": "0.5",
        "method": "cheque",
        "reference": ODD,
        **REASON,
    },
    f"POST {O}/account/charges": {
        "amount": "1",
        "kind": "usage",
        "description": ODD,
        "cost": "0.25",
        "external_invoice": "EXT-1",
    },
    f"POST {O}/account/allocate": {},
    f"POST {O}/account/adjustments": {"amount": "-0.5", "kind": "correction", **REASON},
    f"POST {O}/account/refunds": {"transaction_id": "<charge_id>", "amount": "0.5", **REASON},
    f"POST {O}/account/transactions/<transaction_id>/reverse": REASON,
    f"DELETE {O}/account/payment-method": {},
    f"POST {O}/account/reservations": {"amount": "1", "description": ODD, "expires_in": 60},
    f"POST {O}/account/reservations/<reservation_id>/capture": {
        "amount": "0.5",
        "final": False,
        "cost": "0.1",
    },
    f"POST {O}/account/reservations/<reservation_id>/release": {},
    f"POST {O}/invoices": {},
    f"POST {O}/invoices/<invoice_id>/void": REASON,
    f"POST {O}/invoices/<invoice_id>/credit-notes": {"amount": "1", **REASON},
    f"POST {O}/payments": {
        "amount": "2",
        "method": "cash",
        "reference": ODD,
        "received_on": "2026-01-31",
        "invoice_ids": ["<due_id>"],
    },
    f"PATCH {O}/payments/<payment_id>": {"invoice_ids": ["<invoice_id>"]},
    "POST /v1/usage": {"records": [], "admission": "always"},
    "POST /v1/wallet/top-ups": {
        "amount": "3",
        "method": "cheque",
        "reference": ODD,
        "currency": "SGD",
        "remark": ODD,
    },
    "POST /v1/wallet/transactions/<top_up_id>/reverse": REASON,
}
RECORD = {
    "id": "r-1",
    "organization_id": "<organization_id>",
    "amount": "1",
    "at": clock.stamp(clock.now()),
    "description": ODD,
    "cost": "0.1",
}
PARAMETER = re.compile(r"<(\w+)>")
NEXT_TRANSACTION = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")


class Route(NamedTuple):
    """A method and path of the application, with the schemas of its ``json`` or ``query``."""

    method: str
    path: str
    takes: dict[str, ma.Schema]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Books:
    """A customer with objects of every kind, another customer, and all stored rows about them.

    ``foreign``: the other customer's objects, if there are any already."""

    def __init__(self, world: World, foreign: dict[str, str] | None = None) -> None:
        self.world = world
        org = self.org = world.open("postpaid", "1000")
        self.known = {"organization_id": org}
        self.foreign = foreign or self._fill(world.open("postpaid", "1000"))
        self.known |= self._fill(org)
        for _ in range(2):
            made = world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
            self.known["top_up_id"] = made.json["id"]
        world.store_card(org)
        self.token = world.token()
        self._numbers = itertools.count()
        self._rows: dict[str, list[Any]] = {}

    def _fill(self, org: str) -> dict[str, str]:
        world, base = self.world, f"/v1/organizations/{org}"

        def made(path: str, body: dict[str, Any]) -> str:
            response = world.call("POST", f"{base}/{path}", body)
            assert response.status_code == 201, response.json
            return response.json["id"]

        world.charge(org, "100", cost="10")
        known = {"organization_id": org, "due_id": made("invoices", {})}
        known["payment_id"] = [
            made("payments", {"amount": "15", "method": "cash"}) for _ in range(2)
        ][1]
        world.charge(org, "10")
        known["invoice_id"] = made("invoices", {})
        known["charge_id"] = world.charge(org, "20", cost="3")["id"]
        held = {"amount": "5", "description": "held"}
        known["reservation_id"] = [made("account/reservations", held) for _ in range(2)][1]
        known["transaction_id"] = world.adjust(org, "-3", "goodwill")["id"]
        topped_up = {"amount": "7", "method": "cash", "invoice_ids": []}
        known["top_up_id"] = made("account/top-ups", topped_up)
        return known

    def filled(self, value: Any, known: dict[str, str] | None = None) -> Any:
        """The value with its ``<names>`` replaced."""
        if isinstance(value, str):
            return PARAMETER.sub(lambda match: (known or self.known)[match[1]], value)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return (
            {name: self.filled(item) for name, item in value.items()}
            if isinstance(value, dict)
            else value
        )

    def body(self, route: Route) -> dict[str, Any]:
        body = self.filled(BODIES[route.name])
        if "records" in body:
            body["records"] = [self.filled(RECORD)]
        return body

    def send(self, route: Route, raw: Any, **options: Any) -> Any:
        """Send bytes, or a value as JSON; by default as the provider's owner with a fresh key."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if route.method == "POST":
            headers["Idempotency-Key"] = f"bad-{id(self)}-{next(self._numbers)}"
        headers |= {
            name.replace("_", "-"): value for name, value in options.pop("headers", {}).items()
        }
        sent = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        path = options.pop("path", None) or self.filled(route.path)
        return self.world.client.open(
            path,
            method=route.method,
            data=sent,
            headers={name: value for name, value in headers.items() if value is not None},
            **options,
        )

    def written(self) -> list[Any]:
        """Every row about these customers and this provider; of other tables the number of rows.
        They are read again only where the server has written since."""
        transaction = self._next_transaction()
        if transaction not in self._rows:
            self._rows = {transaction: self._read()}
        return self._rows[transaction]

    def _next_transaction(self) -> str:
        """What PostgreSQL counts up with every write; on SQLite, something new each time."""
        if self.world.database.is_sqlite:
            return f"read {next(self._numbers)}"
        with self.world.database.reading() as session:
            return str(session.execute(NEXT_TRANSACTION).scalar_one())

    def _read(self) -> list[Any]:
        owners = {self.org, self.foreign["organization_id"], self.world.provider_id}
        rows: list[Any] = []
        with self.world.database.reading() as session:
            for table in (*Tables.metadata.sorted_tables, *columns.Base.metadata.sorted_tables):
                owner = next(
                    (
                        table.c[name]
                        for name in ("organization_id", "provider_id", "aggregate")
                        if name in table.c
                    ),
                    None,
                )
                if table.name == "providers":
                    owner = table.c.id
                wanted = (
                    select(func.count()).select_from(table)
                    if owner is None
                    else (select(table).where(owner.in_(owners)).order_by(*table.primary_key))
                )
                rows += [(table.name, *row) for row in session.execute(wanted)]
        return rows
