"""Organizations: create, list, read, change, suspend, activate."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from chassis.auth.access import current_caller, permit, requires
from chassis.http import context, etag, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from org import actions, guard, queries, sagas, schemas, values

blueprint = Blueprint(
    "organizations", __name__, url_prefix="/v1", description="Customers and the provider itself"
)
_ORGANIZATION = schemas.Organization()
_OWN = paging.Pages(queries.own())


@blueprint.route("/organizations", methods=["POST"])
@requires("organization.create")
@blueprint.arguments(schemas.NewOrganization)
@blueprint.response(201, schemas.Organization)
def create_organization(body: dict[str, Any]) -> Response:
    """Create a customer. It is `provisioning` until billing and membership are set up; `Prefer:
    wait` waits for that."""
    caller = current_caller()
    response = idempotency.change(
        _ORGANIZATION,
        lambda session: sagas.start_opening(
            session, provider_id=caller.organization_id, now=clock.now(), by=caller.actor(), **body
        ),
        status=201,
    )
    return _when_status(response, lambda status: status != values.PROVISIONING)


@blueprint.route("/organizations", methods=["GET"])
@requires("organization.list")
@blueprint.arguments(schemas.ListQuery, location="query")
@blueprint.response(200, paging.page_of(schemas.ListedOrganization))
def list_organizations(query: dict[str, Any]) -> Response:
    """List all customers (provider's staff) or the caller's own organization."""
    caller = current_caller()
    limit, cursor, sort = query.pop("limit"), query.pop("cursor", None), query.pop("sort")
    order = f"{sort} {sorted(query.items())}"
    if caller.is_staff:
        pages = _customers(frozenset(query), query.get("attention"), sort)
        parameters = {**query, "provider_id": caller.organization_id}
        if "q" in query:
            parameters["q"] = queries.contained(query["q"])
    else:
        pages, parameters = _OWN, {"organization_id": caller.organization_id}
    page = pages.page(
        context.database(),
        parameters,
        limit=limit,
        cursor=cursor,
        order=order,
        row=queries.show_listed,
    )
    return json_response(page)


@lru_cache(maxsize=256)
def _customers(filters: frozenset[str], attention: str | None, sort: str) -> paging.Pages:
    return paging.Pages(queries.customers(filters=filters, attention=attention, sort=sort))


@blueprint.route("/organizations/<organization_id>", methods=["GET"])
@requires("organization.read")
@blueprint.response(200, schemas.Organization)
def get_organization(organization_id: str) -> Response:
    """Retrieve an organization, with an ETag over its patchable fields."""
    with context.database().reading() as session:
        return _with_etag(queries.organization(session, organization_id))


@blueprint.route("/organizations/<organization_id>", methods=["PATCH"])
@requires("organization.change")
@blueprint.arguments(schemas.OrganizationPatch)
@blueprint.response(200, schemas.Organization)
def change_organization(body: dict[str, Any], organization_id: str) -> Response:
    """Change name, billing, buyer tags, demo, who manages it or, by its owner, whether its people
    need one-time codes (JSON Merge Patch)."""
    caller = current_caller()
    for operation in guard.operations_to_change(body):
        permit(operation, organization_id, refusal=guard.REFUSALS.get(operation, ""))
    with context.transaction() as session:
        organization = queries.organization(session, organization_id, lock=True)
        etag.check(organization.patchable())
        actions.change_organization(
            session, organization=organization, now=clock.now(), by=caller.actor(), changes=body
        )
    return _with_etag(organization)


@blueprint.route("/organizations/<organization_id>/suspend", methods=["POST"])
@requires("organization.suspend")
@blueprint.arguments(schemas.RequiredReason)
@blueprint.response(200, schemas.Organization)
def suspend_organization(body: dict[str, Any], organization_id: str) -> Response:
    """Suspend: no one can sign in and nothing can be charged; the money stays."""
    by = current_caller().actor()
    return idempotency.change(
        _ORGANIZATION,
        lambda session: sagas.start_suspension(
            session, organization_id=organization_id, now=clock.now(), by=by, reason=body["reason"]
        ),
    )


@blueprint.route("/organizations/<organization_id>/activate", methods=["POST"])
@requires("organization.activate")
@blueprint.arguments(schemas.Empty)
@blueprint.response(200, schemas.Organization)
def activate_organization(_body: dict[str, Any], organization_id: str) -> Response:
    """Undo a suspension, or a scheduled deletion within its grace period. `Prefer: wait` waits
    until it is done."""
    by = current_caller().actor()
    response = idempotency.change(
        _ORGANIZATION,
        lambda session: sagas.start_reactivation(
            session, organization_id=organization_id, now=clock.now(), by=by
        ),
    )
    before = response.get_json()["status"] if response.status_code == 200 else None
    if before == values.ACTIVE:
        return response
    return _when_status(response, lambda status: status != before)


def _when_status(response: Response, is_final: Callable[[str], bool]) -> Response:
    """The response; for a caller who waits, the organization once its status is final."""
    if response.status_code >= 300:
        return response
    organization_id = response.get_json()["id"]

    def look() -> dict[str, Any] | None:
        with context.database().reading() as session:
            organization = queries.organization(session, organization_id)
            if not is_final(organization.status):
                return None
            shown: dict[str, Any] = _ORGANIZATION.dump(organization)
            return shown

    outcome = context.waiting().until(look)
    return response if outcome is None else idempotency.amend(response, outcome)


def _with_etag(organization: Any) -> Response:
    response = json_response(_ORGANIZATION.dump(organization), 200)
    return etag.tag(response, organization.patchable())
