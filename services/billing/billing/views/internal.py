"""Requests of other services."""

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
    url_prefix="/internal/organizations/<organization_id>",
    description="For other services only",
)


@blp.route("/closing-check", methods=["GET"])
@internal("org")
@blp.response(200, schemas.ClosingCheck)
def check_closing(organization_id: str) -> Response:
    """Check what would keep the account from being closed now. Changes nothing."""
    with context.database().reading() as session:
        account = queries.get_account(session, organization_id)
        blockers = queries.blockers(account, clock.now())
    return json_response(schemas.ClosingCheck().dump({"blockers": blockers}))
