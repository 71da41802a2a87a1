"""The list of customers: search, filters and order, all in the address; and the same as a CSV
file."""

from collections.abc import Iterator
from typing import Any

from chassis import csv
from chassis.http.responses import csv_response
from chassis.runtime import clock
from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import Api, Refusal
from console.values.customers import COLUMNS, LABELS, cells, choices, filter_labels
from console.views import page
from console.views.page import needs
from console.views.template_context import with_args

blp = Blueprint("customers", __name__)
_MAX_LINES = 5000
_BATCH = 200


@blp.get("/customers")
@needs("organization.list")
def show() -> ResponseReturnValue:
    """The customers that match, with figures and status."""
    if not page.visitor().is_staff:
        return redirect(
            url_for("overview.show", org=page.visitor().workspace.organization["id"]), 303
        )
    typed = "HX-Request" in request.headers
    if not typed and "" in request.args.values():
        return redirect(with_args(), 303)
    filters, refusal = _filters(), None
    try:
        customers = page.api().get(
            "/v1/organizations", **filters, cursor=request.args.get("cursor"), limit=50
        )
    except Refusal as problem:
        if problem.status != 422:
            raise
        customers, refusal = {"data": [], "next_cursor": None}, problem
    response = page.show(
        "customers.html",
        status=422 if refusal else 200,
        failed=refusal is not None,
        customers=customers,
        filters=filters,
        refusal=refusal,
        choices=choices(),
        labels=LABELS,
        chosen=filter_labels(filters),
        narrowed=bool(filters["q"] or filter_labels(filters)),
        narrowing={name: value for name, value in filters.items() if value},
    )
    response.vary.add("HX-Request")
    if typed:
        response.headers["HX-Replace-Url"] = with_args()
    return response


@blp.get("/customers.csv")
@needs("organization.list")
def download() -> ResponseReturnValue:
    """The same customers as a file, streamed."""
    api, filters = page.api(), _filters()
    first = api.get("/v1/organizations", **filters, limit=_BATCH)
    return csv_response(_lines(api, filters, first), f"customers-{clock.now().date()}.csv")


def _filters() -> dict[str, str]:
    return {name: request.args.get(name, "").strip() for name in ("q", *choices(), "sort")}


def _lines(api: Api, filters: dict[str, str], batch: dict[str, Any]) -> Iterator[str]:
    """Line by line. If the file is incomplete, the last line says so."""
    yield csv.BOM + csv.line(COLUMNS)
    written = 0
    while batch["data"]:
        for customer in batch["data"]:
            yield csv.line(cells(customer))
        written += len(batch["data"])
        if not batch["has_more"]:
            return
        if written >= _MAX_LINES:
            yield csv.line(
                [
                    f"Incomplete: this file has only the first {written} customers. "
                    "Narrow the filters and export again."
                ]
            )
            return
        try:
            batch = api.get(
                "/v1/organizations", **filters, cursor=batch["next_cursor"], limit=_BATCH
            )
        except Refusal as problem:
            yield csv.line(
                [f"Incomplete: stopped after {written} customers. {problem.detail} Export again."]
            )
            return
