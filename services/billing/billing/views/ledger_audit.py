"""The result of the ledger audit."""

from chassis.auth.access import current_caller, requires
from chassis.http import context
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from flask import Response

from billing import queries, schemas

blp = Blueprint("ledger", __name__, url_prefix="/v1/ledger", description="Ledger audit")


@blp.route("/proof", methods=["GET"])
@requires("ledger.read")
@blp.response(200, schemas.LedgerProof)
def read_proof() -> Response:
    """Retrieve the result of the last audit of all the provider's accounts.

    How much was checked, the trial balance, and every discrepancy.
    """
    with context.database().reading() as session:
        audit = queries.last_audit(session, current_caller().organization_id)
    return json_response(schemas.LedgerProof().dump(audit))
