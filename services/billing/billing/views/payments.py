"""Payments of an account, and their assignment to invoices."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, etag, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import actions, queries, schemas

blp = Blueprint(
    "payments",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/payments",
    description="Payments for invoices",
)


@blp.route("", methods=["POST"])
@idempotency.key_required
@requires("payments.record")
@blp.arguments(schemas.NewPayment)
@blp.response(201, schemas.Payment)
def create_payment(body: dict[str, Any], organization_id: str) -> Response:
    """Record money received for the oldest invoices, or for those named.

    Any excess stays as credit.
    """
    return idempotency.change(
        schemas.Payment(),
        lambda session: actions.record_payment(
            session,
            organization_id=organization_id,
            now=clock.now(),
            by=current_caller().actor(),
            **body,
        ),
        status=201,
    )


@blp.route("", methods=["GET"])
@requires("payments.read")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.PaymentPage)
def list_payments(query: dict[str, Any], organization_id: str) -> Response:
    """List the account's payments, newest first."""
    with context.database().reading() as session:
        account = queries.get_account(session, organization_id)
        page = paging.page(
            session,
            queries.payments(organization_id),
            limit=query["limit"],
            cursor=query.get("cursor"),
            order=organization_id,
        )
        page["data"] = queries.show_payments(session, account, page["data"])
    return json_response(schemas.PaymentPage().dump(page))


@blp.route("/<payment_id>", methods=["GET"])
@requires("payments.read")
@blp.response(200, schemas.Payment)
def read_payment(organization_id: str, payment_id: str) -> Response:
    """Retrieve a payment."""
    with context.database().reading() as session:
        account = queries.get_account(session, organization_id)
        payment = queries.get_payment(session, organization_id, payment_id)
        (shown,) = queries.show_payments(session, account, [payment])
    return _tagged(json_response(schemas.Payment().dump(shown)), shown)


@blp.route("/<payment_id>", methods=["PATCH"])
@requires("payments.record")
@blp.arguments(schemas.PaymentPatch)
@blp.response(200, schemas.Payment)
def assign_payment(body: dict[str, Any], organization_id: str, payment_id: str) -> Response:
    """Assign the payment to other invoices, at most five times."""
    changed: dict[str, Any] = {}

    def act(session: Any) -> dict[str, Any]:
        changed.update(
            actions.assign_payment(
                session,
                organization_id=organization_id,
                payment_id=payment_id,
                patch=body,
                check=etag.check,
                now=clock.now(),
                by=current_caller().actor(),
            )
        )
        return changed

    response = idempotency.change(schemas.Payment(), act)
    # A repeated request gets the stored response, which has its ETag.
    return _tagged(response, changed) if changed else response


def _tagged(response: Response, shown: dict[str, Any]) -> Response:
    return etag.tag(response, queries.assigned_invoice_ids(shown))
