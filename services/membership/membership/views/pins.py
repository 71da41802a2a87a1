"""Checking PINs, for programs that people without a login use."""

from typing import Any

from chassis.auth.access import check_existence, current_caller, requires
from chassis.http import context, idempotency
from chassis.http.parsing import Blueprint
from chassis.runtime import clock

from membership import queries, schemas
from membership.actions import pins as actions
from membership.views import resources

blp = Blueprint("pins", __name__, url_prefix="/v1/pins", description="PINs")


@blp.route("/verify", methods=["POST"])
@requires("pin.verify")
@blp.arguments(schemas.PinToCheck)
@blp.response(200, schemas.PinChecked)
def verify_pin(body: dict[str, Any]) -> dict[str, bool]:
    """Check the PIN of an extension. Too many wrong PINs block it for a while."""
    organization_id, extension = body["organization_id"], body["extension"]
    check_existence(organization_id)
    with context.database().reading() as session:
        kept = queries.kept_pin(session, organization_id, extension)
    matched = resources.pins().matches(kept.pin_hash, body["pin"])
    valid = idempotency.retried(
        lambda session: actions.verify_pin(
            session,
            organization_id=organization_id,
            extension=extension,
            kept=kept,
            matched=matched,
            by=current_caller().actor(),
            now=clock.now(),
        )
    )
    return {"valid": valid}
