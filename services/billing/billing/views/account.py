"""An account: its figures, its terms, and what people post to it."""

from typing import Any

from chassis.auth.access import current_caller, provider_to_check, requires
from chassis.http import context, etag, idempotency
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import actions, queries, schemas

blp = Blueprint(
    "account",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/account",
    description="A customer's account",
)
_TRANSACTION = schemas.Transaction()


def _by_now() -> dict[str, Any]:
    return {"now": clock.now(), "by": current_caller().actor()}


@blp.route("", methods=["GET"])
@requires("account.read", view_checks=True)
@blp.response(200, schemas.Account)
def read_account(organization_id: str) -> Response:
    """Retrieve the account's figures and terms."""
    shown, patchable = queries.read_account(
        context.database(), organization_id, provider_to_check(organization_id), clock.now()
    )
    return etag.tag(json_response(shown), patchable)


@blp.route("", methods=["PATCH"])
@requires("account.change")
@blp.arguments(schemas.AccountPatch)
@blp.response(200, schemas.Account)
def change_account(patch: dict[str, Any], organization_id: str) -> Response:
    """Change payment mode, credit limit or automatic top-up."""
    changed: dict[str, Any] = {}

    def act(session: Any) -> dict[str, Any]:
        changed.update(
            actions.change_account(
                session,
                organization_id=organization_id,
                patch=patch,
                check=etag.check,
                **_by_now(),
            )
        )
        return changed

    response = idempotency.change(schemas.Account(), act)
    # A repeated request gets the stored response, which has its ETag.
    if not changed:
        return response
    return etag.tag(response, changed["patchable"])


@blp.route("/top-ups", methods=["POST"])
@idempotency.key_required
@requires("account.top_up")
@blp.arguments(schemas.TopUp)
@blp.response(201, schemas.Transaction)
def create_top_up(body: dict[str, Any], organization_id: str) -> Response:
    """Credit the account."""
    return idempotency.change(
        _TRANSACTION,
        lambda session: actions.top_up(
            session, organization_id=organization_id, **_by_now(), **body
        ),
        status=201,
    )


@blp.route("/allocate", methods=["POST"])
@idempotency.key_required
@requires("payments.record")
@blp.arguments(schemas.Allocate)
@blp.response(200, schemas.Allocated)
def allocate(_body: dict[str, Any], organization_id: str) -> Response:
    """Pay open invoices from the surplus, oldest first."""
    return idempotency.change(
        schemas.Allocated(),
        lambda session: {
            "allocations": actions.allocate(session, organization_id=organization_id, **_by_now())
        },
    )


@blp.route("/withdrawals", methods=["POST"])
@idempotency.key_required
@requires("account.withdraw")
@blp.arguments(schemas.Withdrawal)
@blp.response(201, schemas.Transaction)
def create_withdrawal(body: dict[str, Any], organization_id: str) -> Response:
    """Pay money out of the account."""
    return idempotency.change(
        _TRANSACTION,
        lambda session: actions.withdraw(
            session, organization_id=organization_id, **_by_now(), **body
        ),
        status=201,
    )


@blp.route("/charges", methods=["POST"])
@idempotency.key_required
@requires("account.charge", view_checks=True)
@blp.arguments(schemas.Charge)
@blp.response(201, schemas.Transaction)
def create_charge(body: dict[str, Any], organization_id: str) -> Response:
    """Charge the account."""
    terms = {
        **body,
        "organization_id": organization_id,
        "provider_id": provider_to_check(organization_id),
        "by": current_caller().actor(),
    }

    def alone() -> Response:
        return idempotency.change(
            _TRANSACTION,
            lambda session: actions.charge(session, now=clock.now(), **terms),
            status=201,
        )

    order = actions.charge_order(**terms)
    if order is None:
        return alone()
    return idempotency.change_in_group(
        order,
        lambda posted: queries.show_posted(posted.rows),
        status=201,
        alone=alone,
    )


@blp.route("/adjustments", methods=["POST"])
@idempotency.key_required
@requires("account.adjust")
@blp.arguments(schemas.Adjustment)
@blp.response(201, schemas.Transaction)
def create_adjustment(body: dict[str, Any], organization_id: str) -> Response:
    """Correct the account by a signed amount."""
    return idempotency.change(
        _TRANSACTION,
        lambda session: actions.adjust(
            session, organization_id=organization_id, **_by_now(), **body
        ),
        status=201,
    )


@blp.route("/refunds", methods=["POST"])
@idempotency.key_required
@requires("account.refund")
@blp.arguments(schemas.Refund)
@blp.response(201, schemas.Transaction)
def create_refund(body: dict[str, Any], organization_id: str) -> Response:
    """Refund a charge, in full or in part."""
    return idempotency.change(
        _TRANSACTION,
        lambda session: actions.refund(
            session, organization_id=organization_id, **_by_now(), **body
        ),
        status=201,
    )


@blp.route("/transactions/<transaction_id>/reverse", methods=["POST"])
@idempotency.key_required
@requires("account.reverse")
@blp.arguments(schemas.Reversal)
@blp.response(201, schemas.Transaction)
def reverse_transaction(
    body: dict[str, Any], organization_id: str, transaction_id: str
) -> Response:
    """Reverse a transaction posted by mistake, or a payment that bounced."""
    return idempotency.change(
        _TRANSACTION,
        lambda session: actions.reverse(
            session,
            organization_id=organization_id,
            transaction_id=transaction_id,
            **_by_now(),
            **body,
        ),
        status=201,
    )


@blp.route("/payment-method", methods=["DELETE"])
@requires("account.remove_card")
@blp.response(204)
def remove_card(organization_id: str) -> Response:
    """Remove the stored card."""
    with context.transaction() as session:
        actions.remove_card(session, organization_id=organization_id, **_by_now())
    return Response(status=204)
