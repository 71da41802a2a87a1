"""Checking PINs, for programs that let people without a login in somewhere."""

from typing import Any

from chassis import clock, here, idempotency
from chassis.body import Blueprint
from chassis.caller import check_existence, requires, the_caller

from membership import queries, schemas
from membership.actions import pins as actions
from membership.views import context

blp = Blueprint("pins", __name__, url_prefix="/v1/pins", description="PINs")


@blp.route("/verify", methods=["POST"])
@requires("pin.verify")
@blp.arguments(schemas.PinToCheck)
@blp.response(200, schemas.PinChecked)
def verify_pin(body: dict[str, Any]) -> dict[str, bool]:
    """Whether this is the PIN of that extension; after too many wrong ones nobody is told for a
    while."""
    organization_id, extension = body["organization_id"], body["extension"]
    check_existence(organization_id)
    with here.database().reading() as session:
        kept = queries.kept_pin(session, organization_id, extension)
    matched = context.pins().matches(kept.pin_hash, body["pin"])
    valid = idempotency.retried(
        lambda session: actions.verify_pin(
            session,
            organization_id=organization_id,
            extension=extension,
            kept=kept,
            matched=matched,
            by=the_caller().actor(),
            now=clock.now(),
        )
    )
    return {"valid": valid}
