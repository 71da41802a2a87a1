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
        "Issue an invoice now?",
        "Issue the invoice",
        lambda answer: f"Invoice {answer['number']} over {at.money(answer['total'])} is issued.",
        lead="Everything that is unbilled becomes due. What was overpaid is used for it at once.",
        back="invoices.show",
        amounts=(("Unbilled", at.account["expecting_invoice"]),) if at.account else (),
        blocked=(Way("A prepaid account has nothing to invoice: it is charged at once."),)
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
        "Void it",
        lambda answer: f"Invoice {answer['number']} is void.",
        lead="What is on it becomes unbilled again and goes on the next invoice.",
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
        "Issue the credit note",
        lambda answer: (
            f"{at.money(answer['credited'])} of invoice {answer['number']} are credited."
        ),
        lead="It lowers what the invoice asks for. What was paid of that comes back as an overpayment.",
        danger=True,
        back="invoices.one",
        where={"invoice": invoice},
        about=(
            ("Total", at.money(found["total"])),
            ("Credited", at.money(found["credited"])),
            ("Still open", at.money(found["open"])),
        ),
    )
    return desk.ask(
        at,
        sheet,
        money.part(at.currency, "all that is left of the invoice"),
        lambda form: desk.post(at, f"invoices/{invoice}/credit-notes", form.body(), form),
    )
