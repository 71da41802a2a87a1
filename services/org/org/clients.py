"""Whom org asks: billing and membership, before a deletion."""

from typing import Any

from chassis.http.client import InternalClient


def closing_check(neighbour: InternalClient, organization_id: str) -> dict[str, Any]:
    """What the neighbour says stands in the way (``blockers``) or should be known (``warnings``).

    Raises Unavailable when it does not answer."""
    answer: dict[str, Any] = neighbour.get(
        f"/internal/organizations/{organization_id}/closing-check"
    )
    return answer
