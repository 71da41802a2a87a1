"""What only other services may call."""

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
    """The organizations whose tokens are void, in the order of the feed, after ``?after=``."""
    after = request.args.get("after", 0, type=int)
    with context.database().reading() as session:
        rows = queries.revocation_feed(session, after=after, now=clock.now())
    entries = [
        {
            "seq": row.seq,
            "kind": "organization",
            "key": row.organization_id,
            "state": row.state,
            "before": row.at.timestamp(),
        }
        for row in rows
    ]
    return {"entries": entries, "last": max([after, *(row.seq for row in rows)])}
