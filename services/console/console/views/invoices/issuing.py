"""Invoices issued, voided and credited."""

from flask.typing import ResponseReturnValue

from console.forms import money
from console.values.cures import Way
from console.views import desk, page
from console.views.desk import Sheet
from console.views.invoices.place import blp
from console.views.page import needs


@blp.route("/invoices/issue", methods=["GET", "POST"])
@needs("invoices.issue")
def issue(org: str) -> ResponseReturnValue:
    """Make what is unbilled due now."""
    at = desk.sit(org)
    is_prepaid = bool(at.account) and at.account["payment_mode"] == "prepaid"
    sheet = Sheet(
        "Issue invoice?",
        "Issue invoice",
        lambda answer: f"Invoice {answer['number']} for {at.money(answer['total'])} was issued.",
        lead="All unbilled charges become due. Any overpayment is applied immediately.",
        back="invoices.show",
        amounts=(("Unbilled", at.account["expecting_invoice"]),) if at.account else (),
        blocked=(Way("Prepaid accounts have nothing to invoice. They are charged immediately."),)
        if is_prepaid
        else (),
    )
    return desk.ask(at, sheet, (), lambda form: desk.post(at, "invoices", {}, form))


@blp.route("/invoices/<invoice>/void", methods=["GET", "POST"])
@needs("invoices.issue")
def void(org: str, invoice: str) -> ResponseReturnValue:
    """Take an invoice back of which nothing is paid."""
    at = desk.sit(org)
    found = page.api().get(f"{at.at}/invoices/{invoice}")
    sheet = Sheet(
        f"Void invoice {found['number']}?",
        "Void invoice",
        lambda answer: f"Invoice {answer['number']} was voided.",
        lead="Its charges become unbilled again and go on the next invoice.",
        danger=True,
        back="invoices.one",
        where={"invoice": invoice},
        about=(("Total", at.money(found["total"])),),
    )
    return desk.ask(
        at,
        sheet,
        money.VOID,
        lambda form: desk.post(at, f"invoices/{invoice}/void", form.body(), form),
    )


@blp.route("/invoices/<invoice>/credit", methods=["GET", "POST"])
@needs("invoices.issue")
def credit(org: str, invoice: str) -> ResponseReturnValue:
    """Take an invoice back in part, or all of it, by a credit note."""
    at = desk.sit(org)
    found = page.api().get(f"{at.at}/invoices/{invoice}")
    sheet = Sheet(
        f"Credit note for invoice {found['number']}",
        "Issue credit note",
        lambda answer: (
            f"{at.money(answer['credited'])} of invoice {answer['number']} was credited."
        ),
        lead="Reduces the invoice total. Any part already paid becomes an overpayment.",
        danger=True,
        back="invoices.one",
        where={"invoice": invoice},
        about=(
            ("Total", at.money(found["total"])),
            ("Credited", at.money(found["credited"])),
            ("Balance due", at.money(found["open"])),
        ),
    )
    return desk.ask(
        at,
        sheet,
        money.part(at.currency, "the full remaining amount"),
        lambda form: desk.post(at, f"invoices/{invoice}/credit-notes", form.body(), form),
    )
