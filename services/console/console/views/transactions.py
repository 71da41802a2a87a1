"""The transactions of an account: list, details, CSV file, reversal."""

from itertools import chain

from chassis.csv import BOM
from chassis.http.responses import csv_response
from chassis.runtime import clock
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from console.clients import Refusal
from console.forms import money
from console.values import days
from console.values.labels import label
from console.views import money_form, page
from console.views.money_form import FormPage
from console.views.page import needs

blp = Blueprint("transactions", __name__, url_prefix="/c/<org>")

FILTERS = ("kind", "direction", "from", "to")
_NAMES = {"charge": "All charges", "adjustment": "All adjustments"}
KINDS = tuple(
    (kind, _NAMES.get(kind, label(kind)))
    for kind in (
        "top_up",
        "payment",
        "withdrawal",
        "charge",
        "usage",
        "subscription",
        "one_off",
        "capture",
        "refund",
        "reversal",
        "adjustment",
        "write_off",
        "correction",
        "goodwill",
        "invoice",
        "credit_note",
        "void",
        "reassignment",
        "allocation",
        "mode_change",
        "reservation",
        "release",
        "expiry",
    )
)
_CHARGES = ("usage", "subscription", "one_off", "capture")
_REVERSIBLE = ("top_up", "withdrawal", "payment", "write_off", "correction", "goodwill")


@blp.get("/transactions")
@needs("transactions.read")
def show(org: str) -> ResponseReturnValue:
    """The transactions, newest first."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    chosen, refusal = _chosen(), None
    try:
        page.check_days()
        transactions = api.get(
            f"{base}/account/transactions",
            **_filters(organization["timezone"]),
            cursor=request.args.get("cursor"),
            limit=50,
        )
    except Refusal as problem:
        if problem.status != 422:
            raise
        transactions, refusal = {"data": [], "next_cursor": None}, problem
    return page.show(
        "transactions.html",
        status=422 if refusal else 200,
        organization=organization,
        transactions=transactions,
        chosen=chosen,
        refusal=refusal,
        failed=bool(refusal),
        kinds=KINDS,
    )


@blp.get("/transactions.csv")
@needs("transactions.read")
def file(org: str) -> ResponseReturnValue:
    """The filtered transactions as a CSV file. The API has escaped formulas."""
    api, base = page.api(), f"/v1/organizations/{org}"
    filters = _filters(api.get(base)["timezone"])
    pieces = chain(
        (BOM.encode(),), api.stream(f"{base}/account/transactions", "text/csv", **filters)
    )
    return csv_response(pieces, f"transactions-{org}-{clock.now().date()}.csv")


@blp.get("/transactions/<transaction>")
@needs("transactions.read")
def detail(org: str, transaction: str) -> ResponseReturnValue:
    """One transaction with its entries."""
    api, base = page.api(), f"/v1/organizations/{org}"
    details = api.get(f"{base}/account/transactions/{transaction}")
    is_charge = details["kind"] in _CHARGES and details["external_invoice"] is None
    return page.show(
        "transaction.html",
        organization=api.get(base),
        details=details,
        refundable=is_charge,
        reversible=details["kind"] in _REVERSIBLE,
    )


@blp.route("/transactions/<transaction>/reverse", methods=["GET", "POST"])
@needs("account.reverse")
def reverse(org: str, transaction: str) -> ResponseReturnValue:
    """Reverse an incorrect transaction, or a payment that bounced."""
    customer = money_form.load(org)
    original = page.api().get(f"{customer.path}/account/transactions/{transaction}")
    form_page = FormPage(
        "Reverse transaction?",
        "Reverse transaction",
        lambda result: f"Reversed with a transaction of {customer.money(result['amount'])}.",
        lead="Adds a second transaction that cancels out the first. Invoices paid by a reversed "
        "payment become due again.",
        danger=True,
        back="transactions.detail",
        where={"transaction": transaction},
        about=(
            ("Transaction", original["description"] or label(original["kind"])),
            ("Amount", customer.money(original["amount"])),
        ),
    )
    path = f"account/transactions/{transaction}/reverse"
    return money_form.handle(
        customer,
        form_page,
        money.REVERSAL,
        lambda form: money_form.post(customer, path, form.body(), form),
    )


def _chosen() -> dict[str, str]:
    return {name: request.args[name] for name in FILTERS if request.args.get(name)}


def _filters(zone: str) -> dict[str, str]:
    """The filters as the API takes them: days are in the customer's time zone. What is not a date
    is left to the API to refuse."""
    chosen = _chosen()
    for name, plus in (("from", 0), ("to", 1)):
        try:
            chosen[name] = days.begins(chosen[name], zone, plus=plus)
        except (KeyError, ValueError):
            continue
    return chosen
