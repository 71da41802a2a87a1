"""Issue, void and credit invoices."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask.typing import ResponseReturnValue

from console.forms import money
from console.values.payment_actions import NOTHING_UNBILLED, is_unbilled
from console.values.remedies import Remedy
from console.views import money_form, page
from console.views.invoices.blueprint import blp
from console.views.money_form import FormPage
from console.views.page import needs


@blp.route("/invoices/issue", methods=["GET", "POST"])
@needs("invoices.issue")
def issue(org: str) -> ResponseReturnValue:
    """Make unbilled charges due now."""
    customer = money_form.load(org)
    form_page = FormPage(
        "Issue invoice?",
        "Issue invoice",
        lambda result: (
            f"Invoice {result['number']} for {customer.money(result['total'])} was issued."
        ),
        lead="All unbilled charges become due. Any overpayment is applied immediately.",
        back="invoices.show",
        amounts=(("Unbilled", customer.account["expecting_invoice"]),) if customer.account else (),
        blocked=_nothing_to_invoice(customer.account),
    )
    return money_form.handle(
        customer, form_page, (), lambda form: money_form.post(customer, "invoices", {}, form)
    )


def _nothing_to_invoice(account: Mapping[str, Any] | None) -> Sequence[Remedy]:
    if account is None or (account["payment_mode"] == "postpaid" and is_unbilled(account)):
        return ()
    if account["payment_mode"] == "prepaid":
        return (Remedy("Prepaid accounts have nothing to invoice. They are charged immediately."),)
    return (Remedy(f"{NOTHING_UNBILLED} There is nothing to invoice."),)


@blp.route("/invoices/<invoice>/void", methods=["GET", "POST"])
@needs("invoices.issue")
def void(org: str, invoice: str) -> ResponseReturnValue:
    """Void an invoice on which nothing is paid."""
    customer = money_form.load(org)
    original = page.api().get(f"{customer.path}/invoices/{invoice}")
    form_page = FormPage(
        f"Void invoice {original['number']}?",
        "Void invoice",
        lambda result: f"Invoice {result['number']} was voided.",
        lead="Its charges become unbilled again and go on the next invoice.",
        danger=True,
        back="invoices.detail",
        where={"invoice": invoice},
        about=(("Total", customer.money(original["total"])),),
    )
    return money_form.handle(
        customer,
        form_page,
        money.VOID,
        lambda form: money_form.post(customer, f"invoices/{invoice}/void", form.body(), form),
    )


@blp.route("/invoices/<invoice>/credit", methods=["GET", "POST"])
@needs("invoices.issue")
def credit(org: str, invoice: str) -> ResponseReturnValue:
    """Credit an invoice, in part or in full."""
    customer = money_form.load(org)
    original = page.api().get(f"{customer.path}/invoices/{invoice}")
    left = Decimal(original["total"]) - Decimal(original["credited"])
    form_page = FormPage(
        f"Credit note for invoice {original['number']}",
        "Issue credit note",
        lambda result: (
            f"{customer.money(result['credited'])} of invoice {result['number']} was credited."
        ),
        lead="Reduces the invoice total. Any part already paid becomes an overpayment.",
        danger=True,
        back="invoices.detail",
        where={"invoice": invoice},
        about=(
            ("Total", customer.money(original["total"])),
            ("Credited", customer.money(original["credited"])),
            ("Balance due", customer.money(original["open"])),
        ),
        change=lambda form: Decimal(form.amount("amount") or left),
    )
    return money_form.handle(
        customer,
        form_page,
        money.part(customer.currency, "the full remaining amount"),
        lambda form: money_form.post(
            customer, f"invoices/{invoice}/credit-notes", form.body(), form
        ),
    )
