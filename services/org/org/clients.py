"""Whom org calls: billing and membership, before a deletion and for reconciliation."""

from typing import Any

from chassis.http.client import InternalClient

from org.values import comparison


def closing_check(service: InternalClient, organization_id: str) -> dict[str, Any]:
    """What the service knows that prevents a deletion (``blockers``) or should be considered
    (``warnings``). Raises Unavailable if it does not respond."""
    check: dict[str, Any] = service.get(f"/internal/organizations/{organization_id}/closing-check")
    return check


def states(service: InternalClient, name: str, *, after: str | None, limit: int) -> comparison.Page:
    """What the service with this name stores of the organizations that follow this one. Raises
    Unavailable."""
    start = f"&after={after}" if after else ""
    page = service.get(f"/internal/states?limit={limit}{start}")
    kind = comparison.kind_of(name)
    reports = [comparison.read(kind.load({**row, "check_id": ""})) for row in page["states"]]
    return comparison.Page({each.organization_id: each for each in reports}, page["until"])
