"""Whom org calls: billing and membership, before a deletion."""

from typing import Any

from chassis.http.client import InternalClient


def closing_check(service: InternalClient, organization_id: str) -> dict[str, Any]:
    """What the service knows that prevents a deletion (``blockers``) or should be considered
    (``warnings``). Raises Unavailable if it does not respond."""
    check: dict[str, Any] = service.get(f"/internal/organizations/{organization_id}/closing-check")
    return check
