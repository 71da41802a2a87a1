"""The audit log and the timeline of an organization."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis.csv import BOM
from chassis.http.responses import csv_response
from chassis.runtime import clock
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from console.clients import Missing, Refusal, fetch_all
from console.values import audit_labels, days
from console.views import page
from console.views.page import needs

blp = Blueprint("audit", __name__, url_prefix="/c/<org>")
_FIELDS = ("action", "actor_kind", "actor", "target", "outcome")
_DAYS = ("from", "to")


@blp.get("/audit")
@needs("audit.read")
def show(org: str) -> ResponseReturnValue:
    """Who did what, when and why, including denied actions; the filters are in the address."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    filters, wrong = _filters(organization["timezone"])
    log: Any = {"data": [], "next_cursor": None}
    if not wrong:
        try:
            log = api.get(f"{base}/audit", cursor=request.args.get("cursor"), limit=50, **filters)
        except Refusal as refusal:
            if refusal.status != 422:
                raise
            wrong = {_name(error["pointer"]): error["detail"] for error in refusal.errors} or {
                "": refusal.detail
            }
    return page.show(
        "audit.html",
        status=422 if wrong else 200,
        organization=organization,
        log=log,
        wrong=wrong,
        failed=bool(wrong),
        audit_labels=audit_labels,
        chosen={name: request.args[name] for name in (*_FIELDS, *_DAYS) if request.args.get(name)},
    )


@blp.get("/audit.csv")
@needs("audit.read")
def download(org: str) -> ResponseReturnValue:
    """The filtered log as a CSV file."""
    organization = page.api().get(f"/v1/organizations/{org}")
    filters, _wrong = _filters(organization["timezone"])
    lines = page.api().stream(f"/v1/organizations/{org}/audit", "text/csv", **filters)

    def pieces() -> Any:
        yield BOM.encode()
        yield from lines

    return csv_response(pieces(), f"audit-{org}-{clock.now().date()}.csv")


@blp.get("/timeline")
@needs("timeline.read")
def timeline(org: str) -> ResponseReturnValue:
    """What happened, newest first."""
    api, base, cursor = page.api(), f"/v1/organizations/{org}", request.args.get("cursor")
    responses = fetch_all(
        organization=lambda: api.get(base),
        timeline=lambda: api.get(f"{base}/timeline", cursor=cursor, limit=50),
    )
    for response in responses.values():
        if isinstance(response, Missing):
            raise response.refusal
    return page.show("timeline.html", **responses)


def _filters(zone: str) -> tuple[dict[str, str], dict[str, str]]:
    """The filters as the API takes them, and errors by field. Days are in the organization's time
    zone."""
    filters = {name: request.args.get(name, "").strip() for name in _FIELDS}
    wrong: dict[str, str] = {}
    for name in _DAYS:
        if not (typed := request.args.get(name, "").strip()):
            continue
        try:
            day = date.fromisoformat(typed) + timedelta(days=name == "to")
            filters[name] = clock.stamp(datetime.combine(day, time.min, ZoneInfo(zone)))
        except (ValueError, OverflowError):
            wrong[name] = "Enter a date such as 2026-11-23."
    if days.are_reversed(*(request.args.get(name, "").strip() for name in _DAYS)):
        wrong["to"] = page.DAYS_REVERSED
    return {name: value for name, value in filters.items() if value}, wrong


def _name(pointer: str) -> str:
    return pointer.strip("/").rpartition("/")[2]
