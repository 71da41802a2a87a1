"""Entries of the audit, added and read."""

import csv
import io
from typing import Any

from chassis.runtime import ids
from contracts import membership

from tests.org.conftest import World

AT = "2026-03-01T12:00:00.000000Z"
STELLA = {
    "sub": "idn_stella",
    "org": "org_p",
    "sid": "ses_1",
    "mode": "remote_support",
    "access": "full",
    "name": "Stella Staff",
}


def add_entry(world: World, customer: str, **other: Any) -> str:
    """Membership publishes a row of its audit; returns its id."""
    known: dict[str, Any] = {
        "entry_id": ids.new("evt"),
        "at": AT,
        "action": "member.disabled",
        "outcome": "ok",
        "actor": {"kind": "staff", "id": "mem_1", "label": "Stella"},
        "target": {"label": "Max"},
        "changes": [],
        "reason": None,
        "hash": "0" * 64,
    }
    world.consume(
        membership.AuditRecorded(
            organization_id=customer, provider_id=world.provider, **(known | other)
        )
    )
    return (known | other)["entry_id"]


def audit_rows(
    world: World, customer: str, query: str = "", path: str = "audit", **who: Any
) -> list[Any]:
    response = world.call("GET", f"/organizations/{customer}/{path}?{query}", **who)
    assert response.status_code == 200, response.text
    return response.json["data"]


def csv_rows(world: World, customer: str, **who: Any) -> list[dict[str, str]]:
    response = world.call(
        "GET", f"/organizations/{customer}/audit", headers={"Accept": "text/csv"}, **who
    )
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    return list(csv.DictReader(io.StringIO(response.text, newline="")))
