"""For other services only."""

from typing import Any

from chassis.auth.internal import internal
from chassis.http import context
from chassis.runtime import clock
from flask import Blueprint, request

from org import queries

blueprint = Blueprint("internal", __name__, url_prefix="/internal")


@blueprint.route("/revocations", methods=["GET"])
@internal("gateway")
def list_revocations() -> dict[str, Any]:
    """Which organizations' tokens are void, after ``?after=``."""
    after = request.args.get("after", 0, type=int)
    with context.database().reading() as session:
        rows = queries.revocations(session, after=after, now=clock.now())
    entries = [
        {
            "seq": r.seq,
            "kind": "organization",
            "key": r.organization_id,
            "state": r.state,
            "before": r.at.timestamp(),
        }
        for r in rows
    ]
    return {"entries": entries, "last": max([after, *(r.seq for r in rows)])}
