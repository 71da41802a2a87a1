"""The provider's wallet."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import actions, queries, schemas
from billing.values import format_money

blp = Blueprint("wallet", __name__, url_prefix="/v1/wallet", description="The provider's wallet")


@blp.route("", methods=["GET"])
@requires("wallet.read")
@blp.response(200, schemas.Wallet)
def read_wallet() -> Response:
    """Retrieve the wallet: by currency the provider's balance, the customers' share and what is
    usable."""
    with context.database().reading() as session:
        balances = queries.wallet_balances(session, current_caller().organization_id)
    shown = [
        {
            "currency": balance.currency,
            "balance": format_money(balance.balance, balance.currency),
            "customers_balance": format_money(balance.customers, balance.currency),
            "usable": format_money(balance.usable, balance.currency),
        }
        for balance in balances
    ]
    return json_response(schemas.Wallet().dump({"data": shown}))


@blp.route("/top-ups", methods=["POST"])
@idempotency.key_required
@requires("wallet.top_up")
@blp.arguments(schemas.WalletTopUp)
@blp.response(201, schemas.Transaction)
def create_wallet_top_up(body: dict[str, Any]) -> Response:
    """Add money to the wallet."""
    caller = current_caller()
    return idempotency.change(
        schemas.Transaction(),
        lambda session: actions.top_up_wallet(
            session, provider_id=caller.organization_id, now=clock.now(), by=caller.actor(), **body
        ),
        status=201,
    )


@blp.route("/transactions", methods=["GET"])
@requires("wallet.read")
@blp.arguments(schemas.WalletTransactionsQuery, location="query")
@blp.response(200, schemas.TransactionPage)
def list_wallet_transactions(query: dict[str, Any]) -> Response:
    """List the wallet's own transactions, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    provider_id = current_caller().organization_id
    order = repr((provider_id, sorted(query.items())))
    with context.database().reading() as session:
        transactions = queries.wallet_transactions(provider_id, **query)
        page = paging.page(session, transactions, limit=limit, cursor=cursor, order=order)
        page["data"] = queries.show_transactions(session, page["data"], staff=False)
    return json_response(schemas.TransactionPage().dump(page))


@blp.route("/transactions/<top_up_id>/reverse", methods=["POST"])
@idempotency.key_required
@requires("wallet.top_up")
@blp.arguments(schemas.Reversal)
@blp.response(201, schemas.Transaction)
def reverse_wallet_top_up(body: dict[str, Any], top_up_id: str) -> Response:
    """Reverse a top-up of the wallet that was recorded by mistake."""
    caller = current_caller()
    return idempotency.change(
        schemas.Transaction(),
        lambda session: actions.reverse_wallet_top_up(
            session,
            provider_id=caller.organization_id,
            transaction_id=top_up_id,
            now=clock.now(),
            by=caller.actor(),
            **body,
        ),
        status=201,
    )
