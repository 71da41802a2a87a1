"""Whether the provider's books are right."""

from chassis.auth.access import current_caller, requires
from chassis.http import context
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from flask import Response

from billing import queries, schemas

blp = Blueprint(
    "ledger", __name__, url_prefix="/v1/ledger", description="Whether the books are right"
)


@blp.route("/proof", methods=["GET"])
@requires("ledger.read")
@blp.response(200, schemas.LedgerProof)
def read_proof() -> Response:
    """What the auditor found when it last went through all the provider's books.

    How much it looked at, the trial balance, and everything that does not hold."""
    with context.database().reading() as session:
        proof = queries.last_audit(session, current_caller().organization_id)
    return json_response(schemas.LedgerProof().dump(proof))
