"""Money that came in for invoices: recorded, listed, assigned anew."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from console.forms import money
from console.values import figures
from console.views import desk, page
from console.views.desk import Desk, Sheet
from console.views.invoices.place import blp
from console.views.page import needs


@blp.route("/payments/record", methods=["GET", "POST"])
@needs("payments.record")
def pay(org: str) -> ResponseReturnValue:
    """Record a payment, for chosen invoices or the oldest first."""
    at = desk.sit(org)
    waiting, is_more = _waiting(at)
    sheet = Sheet(
        "Record payment",
        "Record payment",
        lambda answer: (
            f"Payment of {at.money(answer['amount'])} recorded"
            + (
                f". {at.money(answer['unassigned'])} stays on the account as credit."
                if answer["unassigned"].strip("0.")
                else "."
            )
        ),
        lead="Select the invoices to pay. If you select none, the oldest are paid first. Any excess stays as credit "
        "and pays later invoices.",
        back="invoices.payments",
        amounts=(("Amount due", at.account["amount_due"]),) if at.account else (),
    )
    values = {"amount": figures.asked_for(at.account) if at.account else ""}
    return desk.ask(
        at,
        sheet,
        money.payment(at.currency, at.has_card, waiting),
        lambda form: desk.post(at, "payments", money.paid_body(form), form),
        values=values,
        waiting=_by_name(waiting),
        is_more=is_more,
    )


@blp.get("/payments")
@needs("payments.read")
def payments(org: str) -> ResponseReturnValue:
    """What was paid for invoices, newest first."""
    api, at = page.api(), f"/v1/organizations/{org}"
    organization = api.get(at)
    found = api.get(f"{at}/payments", cursor=request.args.get("cursor"), limit=50)
    return page.show("payments.html", organization=organization, found=found)


@blp.route("/payments/<payment>/assign", methods=["GET", "POST"])
@needs("payments.record")
def reassign(org: str, payment: str) -> ResponseReturnValue:
    """Assign a payment to other invoices, a few times at the most."""
    at = desk.sit(org)
    answer = page.api().ask("GET", f"{at.at}/payments/{payment}")
    found, match = answer.json(), answer.headers.get("ETag", "")
    waiting, is_more = _waiting(at)
    known = {one["id"] for one in waiting}
    paid = [
        {"id": one["invoice_id"], "number": one["number"]}
        for one in found["invoices"]
        if one["invoice_id"] not in known
    ]
    left = found["edits_left"]
    sheet = Sheet(
        "Reassign payment",
        "Reassign payment",
        lambda told: (
            f"{at.money(told['assigned'])} assigned. Reassignments left: {told['edits_left']}."
        ),
        back="invoices.payments",
        lead="Select the invoices to pay; they are paid in the order shown. If you select none, the payment stays on the "
        f"account as credit. Reassignments left: {left}.",
        about=(
            ("Payment", at.money(found["amount"])),
            ("Assigned", at.money(found["assigned"])),
            ("Unassigned", at.money(found["unassigned"])),
        ),
    )
    values = {f"{money.ASKED}{one['invoice_id']}": "on" for one in found["invoices"]}
    rows = [*paid, *waiting]
    return desk.ask(
        at,
        sheet,
        money.asked(rows),
        lambda form: page.api().patch(
            f"{at.at}/payments/{payment}", {"invoice_ids": money.ticked(form)}, match=form.match
        ),
        values=values,
        match=match,
        waiting=_by_name(rows),
        is_more=is_more,
    )


def _waiting(at: Desk) -> tuple[list[dict[str, Any]], bool]:
    """The invoices that wait for money, oldest first, and whether older ones are left out."""
    found = page.api().get(f"{at.at}/invoices", status="awaiting_payment", limit=200)
    return found["data"][::-1], found["has_more"]


def _by_name(invoices: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {f"{money.ASKED}{one['id']}": one for one in invoices}
