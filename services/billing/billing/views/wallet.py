"""The provider's own money."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import actions, queries, schemas
from billing.values import format_money

blp = Blueprint("wallet", __name__, url_prefix="/v1/wallet", description="The provider's own money")


@blp.route("", methods=["GET"])
@requires("wallet.read")
@blp.response(200, schemas.Wallet)
def read_wallet() -> Response:
    """The provider's balance, what of it is its customers', and what is usable, by currency."""
    with context.database().reading() as session:
        wallet_balances = queries.wallet_balances(session, current_caller().organization_id)
    shown = [
        {
            "currency": purse.currency,
            "balance": format_money(purse.balance, purse.currency),
            "customers_balance": format_money(purse.customers, purse.currency),
            "usable": format_money(purse.usable, purse.currency),
        }
        for purse in wallet_balances
    ]
    return json_response(schemas.Wallet().dump({"data": shown}))


@blp.route("/top-ups", methods=["POST"])
@idempotency.key_required
@requires("wallet.top_up")
@blp.arguments(schemas.WalletTopUp)
@blp.response(201, schemas.Transaction)
def create_wallet_top_up(body: dict[str, Any]) -> Response:
    """Add to the provider's balance."""
    caller = current_caller()
    return idempotency.change(
        schemas.Transaction(),
        lambda session: actions.top_up_wallet(
            session, provider_id=caller.organization_id, now=clock.now(), by=caller.actor(), **body
        ),
        status=201,
    )
