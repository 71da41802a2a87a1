"""Internal endpoints, for the other services only."""

from dataclasses import asdict
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
    """List the revocations since a position."""
    with context.database().reading() as session:
        entries, last = queries.revocations(session, args["after"], clock.now())
    rows = [
        {
            "seq": entry.seq,
            "kind": entry.kind,
            "key": entry.key,
            "before": entry.before.timestamp(),
        }
        for entry in entries
    ]
    return {"entries": rows, "last": last}


@blp.route("/organizations/<organization_id>/closing-check", methods=["GET"])
@internal("org")
@blp.response(200)
def check_closing(organization_id: str) -> dict[str, Any]:
    """List what a deletion would interrupt."""
    with context.database().reading() as session:
        return {"warnings": queries.deletion_warnings(session, organization_id, clock.now())}


@blp.route("/states", methods=["GET"])
@internal("org")
@blp.arguments(schemas.StatesQuery, location="query")
@blp.response(200, schemas.States)
def list_states(args: dict[str, Any]) -> dict[str, Any]:
    """List what membership stores of each organization, in the order of their ids."""
    with context.database().reading() as session:
        page = queries.states(session, after=args["after"], limit=args["limit"])
    rows = [
        {
            "organization_id": organization_id,
            "access": asdict(state.access) if state.access else None,
            "settings_version": state.settings_version,
        }
        for organization_id, state in page.states.items()
    ]
    return {"states": rows, "until": page.until}
