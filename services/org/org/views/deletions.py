"""Deleting an organization: the check before, the request, its outcome."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, problems
from chassis.http.client import InternalClient
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from org import clients, queries, sagas, schemas

blueprint = Blueprint("deletions", __name__, url_prefix="/v1", description="Deleting a customer")
_DELETION = schemas.Deletion()


@blueprint.route("/organizations/<organization_id>/deletion-check", methods=["GET"])
@requires("organization.deletion_check")
@blueprint.response(200, schemas.DeletionCheck)
def check_deletion(organization_id: str) -> dict[str, Any]:
    """Check what prevents a deletion now, and how to resolve it. Changes nothing."""
    with context.database().reading() as session:
        organization = queries.organization(session, organization_id)
        organization.transition("delete")
    billing, membership = (
        clients.closing_check(_service(name), organization_id) for name in ("billing", "membership")
    )
    blockers = schemas.with_remedies(
        organization_id, organization.payment_mode, billing["blockers"]
    )
    return {"deletable": not blockers, "blockers": blockers, "warnings": membership["warnings"]}


@blueprint.route("/organizations/<organization_id>", methods=["DELETE"])
@requires("organization.delete")
@blueprint.arguments(schemas.Reason)
@blueprint.response(202, schemas.Deletion)
@blueprint.alt_response(200, schema=schemas.Deletion)
def delete_organization(body: dict[str, Any], organization_id: str) -> Response:
    """Request a deletion. `Prefer: wait`: 200 once it is scheduled, 409 `deletion_refused` with the
    blockers."""
    by = current_caller().actor()
    with context.transaction() as session:
        deletion = sagas.start_deletion(
            session,
            organization_id=organization_id,
            now=clock.now(),
            by=by,
            reason=body.get("reason"),
        )
        requested = _shown(session, deletion)
    outcome = context.waiting().until(lambda: _outcome(organization_id))
    if outcome is None:
        return _response(requested, 202)
    if outcome["status"] == "refused":
        return problems.problem_response(
            409,
            "deletion_refused",
            "The account is not empty. Resolve the listed blockers, then try again.",
            {"blockers": outcome["blockers"]},
        )
    return _response(outcome, 200)


@blueprint.route("/organizations/<organization_id>/deletion", methods=["GET"])
@requires("organization.deletion_read")
@blueprint.response(200, schemas.Deletion)
def get_deletion(organization_id: str) -> Any:
    """Retrieve the last deletion request."""
    with context.database().reading() as session:
        return _shown(session, queries.latest_deletion(session, organization_id))


def _service(name: str) -> InternalClient:
    return InternalClient(context.transport(name), "org", context.settings().internal_secret)


def _outcome(organization_id: str) -> dict[str, Any] | None:
    with context.database().reading() as session:
        deletion = queries.latest_deletion(session, organization_id)
        return None if deletion.status == "asked" else _shown(session, deletion)


def _shown(session: Any, deletion: Any) -> dict[str, Any]:
    organization = queries.organization(session, deletion.organization_id)
    blockers = schemas.with_remedies(organization.id, organization.payment_mode, deletion.blockers)
    return {**_DELETION.dump(deletion), "blockers": blockers}


def _response(deletion: dict[str, Any], status: int) -> Response:
    response = json_response(deletion, status)
    response.headers["Location"] = f"/v1/organizations/{deletion['organization_id']}/deletion"
    return response
