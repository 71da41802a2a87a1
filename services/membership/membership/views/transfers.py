"""Ownership changing hands."""

from collections.abc import Callable
from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import queries, schemas
from membership.actions import transfers as actions

blp = Blueprint(
    "transfers", __name__, url_prefix="/v1/organizations", description="Changes of ownership"
)


@blp.route("/<organization_id>/ownership-transfers", methods=["GET"])
@requires("ownership.read")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.OwnershipTransferPage)
def list_transfers(args: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """The changes of ownership and the offers, newest first."""
    now = clock.now()
    with context.database().reading() as session:
        kind = queries.organization(session, organization_id).kind
        return paging.page(
            session,
            queries.transfers(organization_id),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"transfers {organization_id}",
            row=lambda found: schemas.handover_for_people(found, kind == "customer", now),
        )


@blp.route("/<organization_id>/ownership-transfers", methods=["POST"])
@requires("ownership.transfer")
@blp.arguments(schemas.NewTransfer)
@blp.response(201, schemas.OwnershipTransfer)
def transfer_ownership(body: dict[str, Any], organization_id: str) -> Response:
    """Change the owner: at once by the provider, by an offer that the member accepts within 72
    hours by the owner."""
    return _change(actions.transfer_ownership, organization_id, 201, **body)


@blp.route("/<organization_id>/ownership-transfers/<transfer_id>/accept", methods=["POST"])
@requires("ownership.accept")
@blp.response(200, schemas.OwnershipTransfer)
def accept_transfer(organization_id: str, transfer_id: str) -> Response:
    """Become the owner, as was offered."""
    return _change(actions.accept_transfer, organization_id, 200, transfer_id=transfer_id)


@blp.route("/<organization_id>/ownership-transfers/<transfer_id>", methods=["DELETE"])
@requires("ownership.undo")
@blp.response(200, schemas.OwnershipTransfer)
def take_back_transfer(organization_id: str, transfer_id: str) -> Response:
    """Cancel an offer, or undo within 72 hours what the provider did."""
    return _change(actions.take_back_transfer, organization_id, 200, transfer_id=transfer_id)


def _change(
    action: Callable[..., Any], organization_id: str, status: int, **wanted: Any
) -> Response:
    def act(session: Any) -> dict[str, Any]:
        now = clock.now()
        transfer = action(
            session, organization_id=organization_id, by=current_caller().actor(), now=now, **wanted
        )
        session.flush()
        is_customer = queries.organization(session, organization_id).kind == "customer"
        found = queries.transfer(session, organization_id, transfer.id)
        return schemas.handover_for_people(found, is_customer, now)

    return idempotency.change(schemas.OwnershipTransfer(), act, status=status)
