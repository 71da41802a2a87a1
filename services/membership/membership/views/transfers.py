"""Transfers of ownership."""

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
    """List the transfers and offers of ownership, newest first."""
    now = clock.now()
    with context.database().reading() as session:
        kind = queries.organization(session, organization_id).kind
        return paging.page(
            session,
            queries.transfers(organization_id),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"transfers {organization_id}",
            row=lambda row: schemas.transfer_for_response(row, kind == "customer", now),
        )


@blp.route("/<organization_id>/ownership-transfers", methods=["POST"])
@requires("ownership.transfer")
@blp.arguments(schemas.NewTransfer)
@blp.response(201, schemas.OwnershipTransfer)
def transfer_ownership(body: dict[str, Any], organization_id: str) -> Response:
    """Transfer the ownership. By the provider it takes effect at once, but after 72 hours where the
    customer manages itself, and not within 30 days after it has disabled, removed or changed an
    admin there; by the owner it is an offer that the member has to accept within 72 hours."""
    return _change(actions.transfer_ownership, organization_id, 201, **body)


@blp.route("/<organization_id>/ownership-transfers/<transfer_id>/accept", methods=["POST"])
@requires("ownership.accept")
@blp.response(200, schemas.OwnershipTransfer)
def accept_transfer(organization_id: str, transfer_id: str) -> Response:
    """Accept an offer of ownership."""
    return _change(actions.accept_transfer, organization_id, 200, transfer_id=transfer_id)


@blp.route("/<organization_id>/ownership-transfers/<transfer_id>", methods=["DELETE"])
@requires("ownership.undo")
@blp.response(200, schemas.OwnershipTransfer)
def cancel_or_undo_transfer(organization_id: str, transfer_id: str) -> Response:
    """Cancel an offer, stop a scheduled transfer, or undo one by the provider within 72 hours."""
    return _change(actions.cancel_or_undo_transfer, organization_id, 200, transfer_id=transfer_id)


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
        row = queries.transfer(session, organization_id, transfer.id)
        return schemas.transfer_for_response(row, is_customer, now)

    return idempotency.change(schemas.OwnershipTransfer(), act, status=status)
