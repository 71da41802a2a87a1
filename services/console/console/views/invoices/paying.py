"""Payments for invoices: record, list, reassign."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from console.forms import money
from console.values import figures
from console.views import money_form, page
from console.views.invoices.blueprint import blp
from console.views.money_form import CustomerAccount, FormPage
from console.views.page import needs


@blp.route("/payments/record", methods=["GET", "POST"])
@needs("payments.record")
def pay(org: str) -> ResponseReturnValue:
    """Record a payment, for chosen invoices or the oldest first."""
    customer = money_form.load(org)
    waiting, is_more = _waiting(customer)
    form_page = FormPage(
        "Record payment",
        "Record payment",
        lambda result: (
            f"Payment of {customer.money(result['amount'])} recorded"
            + (
                f". {customer.money(result['unassigned'])} stays on the account as credit."
                if result["unassigned"].strip("0.")
                else "."
            )
        ),
        lead="Select the invoices to pay. If you select none, the oldest are paid first. Any "
        "excess stays as credit and pays later invoices.",
        back="invoices.payments",
        amounts=(("Amount due", customer.account["amount_due"]),) if customer.account else (),
        change=lambda form: Decimal(form.amount("amount") or "0"),
    )
    values = {"amount": figures.total_due(customer.account) if customer.account else ""}
    return money_form.handle(
        customer,
        form_page,
        money.payment(customer.currency, customer.has_card, waiting),
        lambda form: money_form.post(customer, "payments", money.paid_body(form), form),
        values=values,
        waiting=_by_name(waiting),
        is_more=is_more,
    )


@blp.get("/payments")
@needs("payments.read")
def payments(org: str) -> ResponseReturnValue:
    """The payments, newest first."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    payments = api.get(f"{base}/payments", cursor=request.args.get("cursor"), limit=50)
    return page.show("payments.html", organization=organization, payments=payments)


@blp.route("/payments/allocate", methods=["GET", "POST"])
@needs("payments.record")
def allocate(org: str) -> ResponseReturnValue:
    """Pay open invoices from the credit on the account."""
    customer = money_form.load(org)
    form_page = FormPage(
        "Pay open invoices from credit?",
        "Pay invoices",
        _allocated,
        lead="Credit that was left unassigned pays the oldest invoices, the oldest credit first.",
        back="invoices.payments",
        amounts=(("Amount due", customer.account["amount_due"]),) if customer.account else (),
    )
    return money_form.handle(
        customer,
        form_page,
        (),
        lambda form: money_form.post(customer, "account/allocate", {}, form),
    )


def _allocated(result: Mapping[str, Any]) -> str:
    paid = len({part["invoice_id"] for part in result["allocations"]})
    if not paid:
        return "Nothing was paid: there is no credit, or no open invoice."
    return f"Credit was allocated to {paid} invoice{'' if paid == 1 else 's'}."


@blp.route("/payments/<payment>/assign", methods=["GET", "POST"])
@needs("payments.record")
def reassign(org: str, payment: str) -> ResponseReturnValue:
    """Assign a payment to other invoices. The API limits how often."""
    customer = money_form.load(org)
    path = f"{customer.path}/payments/{payment}"
    response = page.api().ask("GET", path)
    current, match = response.json(), response.headers.get("ETag", "")
    waiting, is_more = _waiting(customer)
    rows = [*_paid_by(current, waiting), *waiting]
    form_page = FormPage(
        "Reassign payment",
        "Reassign payment",
        lambda result: (
            f"{customer.money(result['assigned'])} assigned. "
            f"Reassignments left: {result['edits_left']}."
        ),
        back="invoices.payments",
        lead="Select the invoices to pay; they are paid in the order shown. If you select none, "
        "the payment stays on the account as credit. "
        f"Reassignments left: {current['edits_left']}.",
        about=(
            ("Payment", customer.money(current["amount"])),
            ("Assigned", customer.money(current["assigned"])),
            ("Unassigned", customer.money(current["unassigned"])),
        ),
    )
    return money_form.handle(
        customer,
        form_page,
        money.invoice_checkboxes(rows),
        lambda form: page.api().patch(path, {"invoice_ids": money.ticked(form)}, match=form.match),
        values={
            f"{money.INVOICE_PREFIX}{share['invoice_id']}": "on" for share in current["invoices"]
        },
        match=match,
        waiting=_by_name(rows),
        is_more=is_more,
    )


def _paid_by(
    payment: dict[str, Any], waiting: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The invoices that this payment has paid, except those that are still unpaid."""
    unpaid = {invoice["id"] for invoice in waiting}
    return [
        {"id": share["invoice_id"], "number": share["number"]}
        for share in payment["invoices"]
        if share["invoice_id"] not in unpaid
    ]


def _waiting(customer: CustomerAccount) -> tuple[list[dict[str, Any]], bool]:
    """The unpaid invoices, oldest first, and whether there are more."""
    invoices = page.api().get(f"{customer.path}/invoices", status="awaiting_payment", limit=200)
    return invoices["data"][::-1], invoices["has_more"]


def _by_name(invoices: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {f"{money.INVOICE_PREFIX}{invoice['id']}": invoice for invoice in invoices}
