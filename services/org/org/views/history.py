"""Timeline and audit of an organization, merged from all services."""

import json
from collections.abc import Iterator
from typing import Any

from chassis import csv
from chassis.auth.access import current_caller, requires
from chassis.db.database import Database
from chassis.http import context, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import csv_response
from flask import request

from org import queries, schemas, values

blueprint = Blueprint("history", __name__, url_prefix="/v1", description="Timeline and audit")
_COLUMNS = (
    "at",
    "action",
    "outcome",
    "actor",
    "actor_id",
    "acting",
    "target",
    "target_id",
    "changes",
    "reason",
    "request_id",
    "service",
    "id",
    "client_address",
)


@blueprint.route("/organizations/<organization_id>/timeline", methods=["GET"])
@requires("timeline.read")
@blueprint.arguments(paging.PageArgs, location="query")
@blueprint.response(200, paging.page_of(schemas.TimelineRow))
def list_timeline(query: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """List what happened to this organization in any service, newest first."""
    is_staff = current_caller().is_staff
    entries = queries.trail(organization_id, filters={}, changes_only=True)
    with context.database().reading() as session:
        return paging.page(
            session,
            entries,
            order=f"timeline {organization_id}",
            row=lambda row: _visible(row[0], row[1], is_staff),
            **_take_paging(query),
        )


@blueprint.route("/organizations/<organization_id>/audit", methods=["GET"])
@requires("audit.read")
@blueprint.arguments(schemas.TrailQuery, location="query")
@blueprint.response(200, paging.page_of(schemas.AuditRow))
def list_audit(query: dict[str, Any], organization_id: str) -> Any:
    """List who did what to whom, including denied attempts. With `Accept: text/csv`, all of it as a
    file. `actor`: an id, or `support`."""
    page, is_staff = _take_paging(query), current_caller().is_staff
    entries = queries.trail(organization_id, filters=query, masked=not is_staff)
    if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
        return csv_response(_csv_lines(context.database(), entries, is_staff), "audit.csv")
    order = repr((organization_id, sorted(query.items())))
    with context.database().reading() as session:
        return paging.page(
            session,
            entries,
            order=order,
            row=lambda row: _visible(row[0], row[1], is_staff),
            **page,
        )


def _take_paging(query: dict[str, Any]) -> dict[str, Any]:
    return {"limit": query.pop("limit"), "cursor": query.pop("cursor", None)}


def _visible(entry: Any, client: Any, is_staff: bool) -> dict[str, Any]:
    """The row as this caller may see it: a customer does not learn which of the provider's staff
    gave support, nor from where the provider works."""
    row = {column: getattr(entry, column) for column in schemas.TimelineRow().fields}
    row["client_address"] = client.address if client and (is_staff or client.is_own) else None
    return row if is_staff else values.as_customers_see(row)


def _csv_lines(database: Database, entries: Any, is_staff: bool) -> Iterator[str]:
    """A batch at a time, each in a session of its own: a client that reads slowly does not occupy a
    database connection."""
    yield csv.line(_COLUMNS)
    schema = schemas.AuditRow()
    last = None
    while True:
        with database.reading() as session:
            batch = queries.trail_before(session, entries, last)
        if not batch:
            return
        rows = [schema.dump(_visible(entry, client, is_staff)) for entry, client in batch]
        yield "".join(_csv_row(row) for row in rows)
        last = batch[-1][0]


def _csv_row(row: dict[str, Any]) -> str:
    flat = {
        "actor": row["actor"].get("label"),
        "actor_id": row["actor"].get("id"),
        "acting": (row["actor"].get("acting") or {}).get("name"),
        "target": row["target"].get("label"),
        "target_id": row["target"].get("id"),
        "changes": json.dumps(row["changes"], ensure_ascii=False),
    }
    cells = {**row, **flat}
    return csv.line([cells[column] for column in _COLUMNS])
