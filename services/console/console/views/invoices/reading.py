"""Invoices: the list, one invoice, its PDF."""

from chassis.runtime import clock
from flask import Response, request
from flask.typing import ResponseReturnValue

from console.clients import Refusal, fetch_all
from console.values import days
from console.values.payment_actions import NOTHING_UNBILLED, is_unbilled
from console.views import page
from console.views.invoices.blueprint import blp
from console.views.page import needs

FILTERS = ("status", "overdue", "from", "to")
MAX_LINES = 200


@blp.get("/invoices")
@needs("invoices.read")
def show(org: str) -> ResponseReturnValue:
    """The invoices, newest first."""
    api, base = page.api(), f"/v1/organizations/{org}"
    chosen = {name: request.args[name] for name in FILTERS if request.args.get(name)}
    organization, refusal = api.get(base), None
    try:
        page.check_days()
        invoices = api.get(
            f"{base}/invoices", **chosen, cursor=request.args.get("cursor"), limit=50
        )
    except Refusal as problem:
        if problem.status != 422:
            raise
        invoices, refusal = {"data": [], "next_cursor": None}, problem
    return page.show(
        "invoices.html",
        status=422 if refusal else 200,
        organization=organization,
        invoices=invoices,
        chosen=chosen,
        nothing_unbilled=_nothing_unbilled(organization),
        refusal=refusal,
        failed=bool(refusal),
        late=lambda invoice: _late(invoice, organization["timezone"]),
    )


@blp.get("/invoices/<invoice>")
@needs("invoices.read")
def detail(org: str, invoice: str) -> ResponseReturnValue:
    """One invoice with its lines and what paid it."""
    api, base = page.api(), f"/v1/organizations/{org}"
    document, organization = api.get(f"{base}/invoices/{invoice}"), api.get(base)
    return page.show(
        "invoice.html",
        organization=organization,
        document=document,
        lines=document["lines"][:MAX_LINES],
        late=_late(document, organization["timezone"]),
    )


@blp.get("/invoices/<invoice>.pdf")
@needs("invoices.read")
def pdf(org: str, invoice: str) -> ResponseReturnValue:
    """The PDF of the API."""
    response = page.api().ask(
        "GET", f"/v1/organizations/{org}/invoices/{invoice}.pdf", Accept="application/pdf"
    )
    return Response(
        response.body,
        headers={name: response.headers[name] for name in ("Content-Type", "Content-Disposition")},
    )


def _nothing_unbilled(organization: dict[str, str]) -> str:
    """Why no invoice can be issued; empty if one can, or if that is not known."""
    if organization["payment_mode"] != "postpaid" or not page.visitor().may("invoices.issue"):
        return ""
    api, path = page.api(), f"/v1/organizations/{organization['id']}/account"
    account = fetch_all(account=lambda: api.get(path))["account"]
    if not account or account["payment_mode"] != "postpaid" or is_unbilled(account):
        return ""
    return NOTHING_UNBILLED


def _late(invoice: dict[str, str], zone: str) -> int:
    """How many days it is overdue."""
    return days.late(invoice["due_on"], clock.stamp(clock.now()), zone) if invoice["overdue"] else 0
