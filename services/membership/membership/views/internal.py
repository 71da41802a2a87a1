"""For the other services only."""

from typing import Any

from chassis.auth.internal import internal
from chassis.http import context
from chassis.http.parsing import Blueprint
from chassis.runtime import clock

from membership import queries, schemas

blp = Blueprint("internal", __name__, url_prefix="/internal", description="Internal")


@blp.route("/revocations", methods=["GET"])
@internal("gateway")
@blp.arguments(schemas.FeedQuery, location="query")
@blp.response(200, schemas.RevocationFeed)
def list_revocations(args: dict[str, Any]) -> dict[str, Any]:
    """What was revoked since."""
    with context.database().reading() as session:
        entries, last = queries.revocations(session, args["after"], clock.now())
    rows = [
        {"seq": e.seq, "kind": e.kind, "key": e.key, "before": e.before.timestamp()}
        for e in entries
    ]
    return {"entries": rows, "last": last}


@blp.route("/organizations/<organization_id>/closing-check", methods=["GET"])
@internal("org")
@blp.response(200)
def check_closing(organization_id: str) -> dict[str, Any]:
    """What a deletion would interrupt."""
    with context.database().reading() as session:
        return {"warnings": queries.warnings(session, organization_id, clock.now())}
