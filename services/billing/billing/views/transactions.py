"""What happened on an account, as pages, as a statement in CSV, and one by one."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.db.database import Database
from chassis.http import context, paging
from chassis.http.parsing import Blueprint
from flask import Response, jsonify, request

from billing import queries, schemas

blp = Blueprint(
    "transactions",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/account/transactions",
    description="What happened on a customer's account",
)

_COLUMNS = ("id", "occurred_at", "kind", "amount", "currency", "balance_after")
_TEXTS = ("description", "method", "reference", "remark", "reason", "external_invoice")


@blp.route("", methods=["GET"])
@requires("transactions.read")
@blp.arguments(schemas.TransactionsQuery, location="query")
@blp.response(200, schemas.TransactionPage)
def list_transactions(query: dict[str, Any], organization_id: str) -> Response:
    """The account's transactions, newest first; with ``Accept: text/csv`` all of them as a file."""
    staff = current_caller().is_staff
    if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
        return _statement(organization_id, staff, query)
    limit, cursor, filters = query.pop("limit"), query.pop("cursor", None), query
    order = repr((organization_id, sorted(filters.items())))
    with context.database().reading() as session:
        account = queries.account(session, organization_id)
        wanted = queries.transactions(organization_id, **filters)
        page = paging.page(session, wanted, limit=limit, cursor=cursor, order=order)
        page["data"] = queries.show_transactions(session, account, page["data"], staff=staff)
    return jsonify(schemas.TransactionPage().dump(page))


@blp.route("/<transaction_id>", methods=["GET"])
@requires("transactions.read")
@blp.response(200, schemas.Transaction)
def read_transaction(organization_id: str, transaction_id: str) -> Response:
    """One transaction with its entries."""
    with context.database().reading() as session:
        found = queries.transaction(
            session,
            organization_id=organization_id,
            transaction_id=transaction_id,
            staff=current_caller().is_staff,
        )
    return jsonify(schemas.Transaction().dump(found))


def _statement(organization_id: str, staff: bool, query: dict[str, Any]) -> Response:
    filters = {name: value for name, value in query.items() if name not in ("limit", "cursor")}
    database = context.database()
    with database.reading() as session:
        account = queries.account(session, organization_id)
    answer = Response(
        _lines(database, account, staff, filters), content_type="text/csv; charset=utf-8"
    )
    answer.headers["Content-Disposition"] = 'attachment; filename="transactions.csv"'
    return answer


def _lines(database: Database, account: Any, staff: bool, filters: dict[str, Any]) -> Iterator[str]:
    columns = (*_COLUMNS, *(("cost",) if staff else ()))
    yield _line([*columns, *_TEXTS])
    batch, seq = _read(database, account, None, staff, filters)
    while batch:
        for shown in batch:
            yield _line(
                [*(shown[name] for name in columns), *(_harmless(shown[name]) for name in _TEXTS)]
            )
        batch, seq = _read(database, account, seq, staff, filters)


def _read(
    database: Database, account: Any, seq: int | None, staff: bool, filters: dict[str, Any]
) -> tuple[list[Any], int | None]:
    """A batch, in a session of its own: whoever reads the file slowly keeps no connection
    meanwhile."""
    with database.reading() as session:
        found, seq = queries.transactions_batch(session, account, seq, staff=staff, **filters)
    return schemas.Transaction(many=True).dump(found), seq


def _line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _harmless(text: str | None) -> str:
    """Spreadsheets run a cell that begins like a formula; a quote in front makes it text."""
    return f"'{text}" if text and text[0] in "=+-@\t\r\n＝＋－＠" else text or ""
