"""Organizations: create, list, read, change, suspend, activate."""

from typing import Any

from chassis.auth.access import current_caller, permit, requires
from chassis.http import context, etag, idempotency, paging, requests
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from org import actions, queries, sagas, schemas, values

blueprint = Blueprint(
    "organizations", __name__, url_prefix="/v1", description="Customers and the provider itself"
)
_ORGANIZATION = schemas.Organization()


@blueprint.route("/organizations", methods=["POST"])
@requires("organization.create")
@blueprint.arguments(schemas.NewOrganization)
@blueprint.response(201, schemas.Organization)
def create_organization(body: dict[str, Any]) -> Response:
    """Create a customer. It is `provisioning` until billing and membership have answered; `Prefer:
    wait` waits."""
    caller = current_caller()
    answer = idempotency.change(
        _ORGANIZATION,
        lambda session: sagas.begin_opening(
            session, provider_id=caller.organization_id, now=clock.now(), by=caller.actor(), **body
        ),
        status=201,
    )
    return _when_settled(answer, lambda found: found.status != values.PROVISIONING)


@blueprint.route("/organizations", methods=["GET"])
@requires("organization.list")
@blueprint.arguments(schemas.ListQuery, location="query")
@blueprint.response(200, paging.page_of(schemas.ListedOrganization))
def list_organizations(query: dict[str, Any]) -> dict[str, Any]:
    """All the provider's customers for staff, one's own for others."""
    caller = current_caller()
    limit, cursor, sort = query.pop("limit"), query.pop("cursor", None), query.pop("sort")
    order = f"{sort} {sorted(query.items())}"
    wanted = (
        queries.customers(caller.organization_id, q=query.pop("q", None), filters=query, sort=sort)
        if caller.is_staff
        else queries.own(caller.organization_id)
    )
    with context.database().reading() as session:
        return paging.page(session, wanted, limit=limit, cursor=cursor, order=order, row=_listed)


@blueprint.route("/organizations/<organization_id>", methods=["GET"])
@requires("organization.read")
@blueprint.response(200, schemas.Organization)
def get_organization(organization_id: str) -> Response:
    """One organization, with an ETag over its patchable fields."""
    with context.database().reading() as session:
        return _single(queries.organization(session, organization_id))


@blueprint.route("/organizations/<organization_id>", methods=["PATCH"])
@requires("organization.change")
@blueprint.arguments(schemas.OrganizationPatch)
@blueprint.response(200, schemas.Organization)
def change_organization(body: dict[str, Any], organization_id: str) -> Response:
    """Change name, billing, buyer tags, demo or who manages it (JSON Merge Patch)."""
    caller = current_caller()
    if body.get("managed_by") == "provider":
        permit("organization.hand_back", organization_id)
    if body.get("managed_by") == "customer":
        permit("organization.hand_over", organization_id)
    if set(body) - {"name", "billing", "managed_by"}:
        permit("organization.change_tags", organization_id)
    with context.database().transaction(correlation=requests.request_id()) as session:
        found = queries.organization(session, organization_id, lock=True)
        etag.check(actions.patchable(found))
        actions.change_organization(
            session, found=found, now=clock.now(), by=caller.actor(), changes=body
        )
    return _single(found)


@blueprint.route("/organizations/<organization_id>/suspend", methods=["POST"])
@requires("organization.suspend")
@blueprint.arguments(schemas.RequiredReason)
@blueprint.response(200, schemas.Organization)
def suspend_organization(body: dict[str, Any], organization_id: str) -> Response:
    """Suspend: nobody logs in and nothing is charged; the money stays."""
    by = current_caller().actor()
    return idempotency.change(
        _ORGANIZATION,
        lambda session: actions.suspend_organization(
            session, organization_id=organization_id, now=clock.now(), by=by, reason=body["reason"]
        ),
    )


@blueprint.route("/organizations/<organization_id>/activate", methods=["POST"])
@requires("organization.activate")
@blueprint.arguments(schemas.Empty)
@blueprint.response(200, schemas.Organization)
def activate_organization(_body: dict[str, Any], organization_id: str) -> Response:
    """Undo a suspension, or a scheduled deletion within its grace. `Prefer: wait` waits until it is
    done."""
    by = current_caller().actor()
    answer = idempotency.change(
        _ORGANIZATION,
        lambda session: sagas.begin_reactivation(
            session, organization_id=organization_id, now=clock.now(), by=by
        ),
    )
    before = answer.get_json()["status"] if answer.status_code == 200 else None
    return (
        _when_settled(answer, lambda found: found.status != before)
        if before != values.ACTIVE
        else answer
    )


def _when_settled(answer: Response, settled: Any) -> Response:
    """The same answer, or the settled one where the caller waits for it."""
    if answer.status_code >= 300:
        return answer
    organization_id = answer.get_json()["id"]

    def look() -> dict[str, Any] | None:
        with context.database().reading() as session:
            found = queries.organization(session, organization_id)
            return _ORGANIZATION.dump(found) if settled(found) else None

    outcome = context.waiting().until(look)
    return answer if outcome is None else idempotency.amend(answer, outcome)


def _single(found: Any) -> Response:
    return etag.tag(json_response(_ORGANIZATION.dump(found), 200), actions.patchable(found))


def _listed(row: Any) -> Any:
    found = row[0]
    found.attention = [code for code in queries.ATTENTION if getattr(row, code)]
    found.summary = found
    return found
