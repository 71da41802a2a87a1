"""Transactions of an account: lists, an export as CSV, and single ones."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from chassis import csv
from chassis.auth.access import current_caller, requires
from chassis.db.database import Database
from chassis.http import context, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import csv_response, json_response
from flask import Response, request

from billing import queries, schemas

blp = Blueprint(
    "transactions",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/account/transactions",
    description="Transactions of a customer's account",
)

_COLUMNS = ("id", "occurred_at", "kind", "amount", "currency", "balance_after")
_AMOUNTS = ("amount", "balance_after", "cost")
_TEXTS = ("description", "method", "reference", "remark", "reason", "external_invoice", "actor")


@blp.route("", methods=["GET"])
@requires("transactions.read")
@blp.arguments(schemas.TransactionsQuery, location="query")
@blp.response(200, schemas.TransactionPage)
def list_transactions(query: dict[str, Any], organization_id: str) -> Response:
    """List the account's transactions, newest first; with ``Accept: text/csv`` all as a file."""
    staff = current_caller().is_staff
    if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
        return _export(organization_id, staff, query)
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    order = repr((organization_id, sorted(query.items())))
    with context.database().reading() as session:
        queries.get_account(session, organization_id)
        transactions = queries.transactions(organization_id, **query)
        page = paging.page(session, transactions, limit=limit, cursor=cursor, order=order)
        page["data"] = queries.show_transactions(session, page["data"], staff=staff)
    return json_response(schemas.TransactionPage().dump(page))


@blp.route("/<transaction_id>", methods=["GET"])
@requires("transactions.read")
@blp.response(200, schemas.Transaction)
def read_transaction(organization_id: str, transaction_id: str) -> Response:
    """Retrieve a transaction with its entries."""
    with context.database().reading() as session:
        transaction = queries.read_transaction(
            session,
            organization_id=organization_id,
            transaction_id=transaction_id,
            staff=current_caller().is_staff,
        )
    return json_response(schemas.Transaction().dump(transaction))


def _export(organization_id: str, staff: bool, query: dict[str, Any]) -> Response:
    filters = {name: value for name, value in query.items() if name not in ("limit", "cursor")}
    database = context.database()
    with database.reading() as session:
        account = queries.get_account(session, organization_id)
    return csv_response(_lines(database, account, staff, filters), "transactions.csv")


def _lines(database: Database, account: Any, staff: bool, filters: dict[str, Any]) -> Iterator[str]:
    columns = [*_COLUMNS, *_TEXTS, "posted_at"]
    if staff:
        columns.insert(len(_COLUMNS), "cost")
    yield csv.line(columns)
    batch, before = _read(database, account, None, staff, filters)
    while batch:
        for shown in batch:
            yield csv.line([_cell(name, shown[name]) for name in columns])
        batch, before = _read(database, account, before, staff, filters)


def _read(
    database: Database, account: Any, before: int | None, staff: bool, filters: dict[str, Any]
) -> tuple[list[Any], int | None]:
    """A batch, read in a session of its own: a slow download holds no connection meanwhile."""
    with database.reading() as session:
        batch, before = queries.transactions_batch(session, account, before, staff=staff, **filters)
    return schemas.Transaction(many=True).dump(batch), before


def _cell(column: str, value: Any) -> csv.Cell:
    if column in _AMOUNTS and value is not None:
        return Decimal(value)
    if column == "actor" and value is not None:
        return f"{value['kind']} {value['id']}"
    return value
