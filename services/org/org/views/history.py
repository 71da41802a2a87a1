"""What happened: the timeline and the audit, merged from what the services say."""

import csv
import io
from typing import Any

from chassis import here, paging
from chassis.body import Blueprint
from chassis.caller import requires, the_caller
from flask import Response, request

from org import queries, schemas

blueprint = Blueprint("history", __name__, url_prefix="/v1", description="Timeline and audit")
_CSV_MOST = 100_000


@blueprint.route("/organizations/<organization_id>/timeline", methods=["GET"])
@requires("timeline.read")
@blueprint.arguments(paging.PageArgs, location="query")
@blueprint.response(200, paging.page_of(schemas.TimelineRow))
def list_timeline(query: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """What happened to this customer in any service, newest first."""
    with here.database().reading() as session:
        wanted = queries.trail(organization_id, filters={}, changes_only=True)
        return paging.page(session, wanted, order="timeline", row=_for_caller, **_paging(query))


@blueprint.route("/organizations/<organization_id>/audit", methods=["GET"])
@requires("audit.read")
@blueprint.arguments(schemas.TrailQuery, location="query")
@blueprint.response(200, paging.page_of(schemas.AuditRow))
def list_audit(query: dict[str, Any], organization_id: str) -> Any:
    """Who did what to whom, denials included; `Accept: text/csv` gives all of it as a table."""
    page = _paging(query)
    with here.database().reading() as session:
        wanted = queries.trail(organization_id, filters=query, masked=not the_caller().is_staff)
        if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
            rows = [_for_caller((row,)) for row in session.scalars(wanted.limit(_CSV_MOST))]
            return _as_csv(schemas.AuditRow(many=True).dump(rows))
        return paging.page(session, wanted, order=f"audit {sorted(query.items())}", row=_for_caller, **page)


def _paging(query: dict[str, Any]) -> dict[str, Any]:
    return {"limit": query.pop("limit"), "cursor": query.pop("cursor", None)}


def _for_caller(row: Any) -> dict[str, Any]:
    """The row as this caller may see it: a customer sees support, never who of the provider it was."""
    entry = {column: getattr(row[0], column) for column in schemas.TimelineRow().fields}
    if not the_caller().is_staff and entry["actor"]["kind"] == queries.SUPPORT:
        entry["actor"] = {"kind": queries.SUPPORT, "id": queries.SUPPORT, "label": "Support"}
    return entry


def _as_csv(rows: list[dict[str, Any]]) -> Response:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["at", "action", "outcome", "actor", "target", "reason", "request_id", "service", "id"])
    for row in rows:
        cells = [row["at"], row["action"], row["outcome"], row["actor"].get("label"), row["target"].get("label"),
                 row["reason"], row["request_id"], row["service"], row["id"]]
        writer.writerow([_harmless(cell) for cell in cells])
    return Response(table.getvalue(), content_type="text/csv; charset=utf-8")


def _harmless(cell: Any) -> str:
    """A cell no spreadsheet takes for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
