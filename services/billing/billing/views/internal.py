"""Requests of other services."""

from dataclasses import asdict
from typing import Any

from chassis.auth.internal import internal
from chassis.http import context
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import queries, schemas

blp = Blueprint(
    "internal",
    __name__,
    url_prefix="/internal",
    description="For other services only",
)


@blp.route("/organizations/<organization_id>/closing-check", methods=["GET"])
@internal("org")
@blp.response(200, schemas.ClosingCheck)
def check_closing(organization_id: str) -> Response:
    """Check what would keep the account from being closed now. Changes nothing."""
    with context.database().reading() as session:
        account = queries.get_account(session, organization_id)
        blockers = queries.blockers(account, clock.now())
    return json_response(schemas.ClosingCheck().dump({"blockers": blockers}))


@blp.route("/states", methods=["GET"])
@internal("org")
@blp.arguments(schemas.StatesQuery, location="query")
@blp.response(200, schemas.States)
def list_states(args: dict[str, Any]) -> Response:
    """List what billing stores of each organization, in the order of their ids."""
    with context.database().reading() as session:
        page = queries.states(session, after=args["after"], limit=args["limit"])
    rows = [
        {
            "organization_id": organization_id,
            "account": asdict(state.account) if state.account else None,
            "settings_version": state.settings_version,
        }
        for organization_id, state in page.states.items()
    ]
    return json_response({"states": rows, "until": page.until})
