"""Deleting an organization: the check before, the wish, its outcome."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, problems, requests
from chassis.http.client import InternalClient
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from org import clients, queries, sagas, schemas

blueprint = Blueprint("deletions", __name__, url_prefix="/v1", description="The end of a customer")
_DELETION = schemas.Deletion()


@blueprint.route("/organizations/<organization_id>/deletion-check", methods=["GET"])
@requires("organization.deletion_check")
@blueprint.response(200, schemas.DeletionCheck)
def check_deletion(organization_id: str) -> dict[str, Any]:
    """What would stand in the way of a deletion now, and how to clear it. Changes nothing."""
    with context.database().reading() as session:
        organization = queries.organization(session, organization_id)
        organization.verdict("delete")
    secret = context.settings().internal_secret
    billing = clients.closing_check(
        InternalClient(context.transport("billing"), "org", secret), organization_id
    )
    membership = clients.closing_check(
        InternalClient(context.transport("membership"), "org", secret), organization_id
    )
    blockers = schemas.blockers_for_people(
        organization_id, organization.payment_mode, billing["blockers"]
    )
    return {"deletable": not blockers, "blockers": blockers, "warnings": membership["warnings"]}


@blueprint.route("/organizations/<organization_id>", methods=["DELETE"])
@requires("organization.delete")
@blueprint.arguments(schemas.Reason)
@blueprint.response(202, schemas.Deletion)
@blueprint.alt_response(200, schema=schemas.Deletion)
def delete_organization(body: dict[str, Any], organization_id: str) -> Response:
    """Ask to delete. `Prefer: wait`: 200 once it is scheduled, 409 `deletion_refused` with the
    blockers."""
    by = current_caller().actor()
    with context.database().transaction(correlation=requests.request_id()) as session:
        wish = sagas.begin_deletion(
            session,
            organization_id=organization_id,
            now=clock.now(),
            by=by,
            reason=body.get("reason"),
        )
        asked = _show(session, wish)
    outcome = context.waiting().until(lambda: _settled(organization_id))
    return _outcome(outcome or asked, waited=outcome is not None)


@blueprint.route("/organizations/<organization_id>/deletion", methods=["GET"])
@requires("organization.deletion_read")
@blueprint.response(200, schemas.Deletion)
def get_deletion(organization_id: str) -> Any:
    """The last deletion asked for."""
    with context.database().reading() as session:
        return _show(session, queries.latest_deletion(session, organization_id))


def _settled(organization_id: str) -> dict[str, Any] | None:
    with context.database().reading() as session:
        wish = queries.latest_deletion(session, organization_id)
        return None if wish.status == "asked" else _show(session, wish)


def _show(session: Any, wish: Any) -> dict[str, Any]:
    organization = queries.organization(session, wish.organization_id)
    blockers = schemas.blockers_for_people(
        organization.id, organization.payment_mode, wish.blockers
    )
    return {**_DELETION.dump(wish), "blockers": blockers}


def _outcome(deletion: dict[str, Any], *, waited: bool) -> Response:
    if waited and deletion["status"] == "refused":
        return problems.problem_response(
            409,
            "deletion_refused",
            "Something stands on the account. Clear the blockers and ask again.",
            {"blockers": deletion["blockers"]},
        )
    answer = json_response(deletion, 200 if waited else 202)
    answer.headers["Location"] = f"/v1/organizations/{deletion['organization_id']}/deletion"
    return answer
