"""What happened: the timeline and the audit, merged from what the services say."""

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
)


@blueprint.route("/organizations/<organization_id>/timeline", methods=["GET"])
@requires("timeline.read")
@blueprint.arguments(paging.PageArgs, location="query")
@blueprint.response(200, paging.page_of(schemas.TimelineRow))
def list_timeline(query: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """What happened to this customer in any service, newest first."""
    with context.database().reading() as session:
        wanted = queries.trail(organization_id, filters={}, changes_only=True)
        return paging.page(
            session,
            wanted,
            order=f"timeline {organization_id}",
            row=lambda r: _seen(r[0], current_caller().is_staff),
            **_paging(query),
        )


@blueprint.route("/organizations/<organization_id>/audit", methods=["GET"])
@requires("audit.read")
@blueprint.arguments(schemas.TrailQuery, location="query")
@blueprint.response(200, paging.page_of(schemas.AuditRow))
def list_audit(query: dict[str, Any], organization_id: str) -> Any:
    """Who did what to whom, denials included; with `Accept: text/csv` all of it as a file. `actor`:
    an id, or `support`."""
    page, staff = _paging(query), current_caller().is_staff
    wanted = queries.trail(organization_id, filters=query, masked=not staff)
    if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
        return csv_response(_lines(context.database(), wanted, staff), "audit.csv")
    order = repr((organization_id, sorted(query.items())))
    with context.database().reading() as session:
        return paging.page(session, wanted, order=order, row=lambda r: _seen(r[0], staff), **page)


def _paging(query: dict[str, Any]) -> dict[str, Any]:
    return {"limit": query.pop("limit"), "cursor": query.pop("cursor", None)}


def _seen(entry: Any, staff: bool) -> dict[str, Any]:
    """The row as this caller may see it: a customer sees support, never who of the provider it
    was."""
    row = {column: getattr(entry, column) for column in schemas.TimelineRow().fields}
    return row if staff else values.as_customers_see(row)


def _lines(database: Database, wanted: Any, staff: bool) -> Iterator[str]:
    """A batch at a time, each in a session of its own: whoever reads slowly keeps no connection
    meanwhile."""
    yield csv.line(_COLUMNS)
    last = None
    while True:
        with database.reading() as session:
            found = queries.trail_before(session, wanted, last)
        if not found:
            return
        yield "".join(
            map(
                _as_line, schemas.AuditRow(many=True).dump([_seen(entry, staff) for entry in found])
            )
        )
        last = found[-1]


def _as_line(row: dict[str, Any]) -> str:
    flat = {
        "actor": row["actor"].get("label"),
        "actor_id": row["actor"].get("id"),
        "acting": (row["actor"].get("acting") or {}).get("name"),
        "target": row["target"].get("label"),
        "target_id": row["target"].get("id"),
        "changes": json.dumps(row["changes"], ensure_ascii=False),
    }
    cells = row | flat
    return csv.line([cells[column] for column in _COLUMNS])
