"""The form that deletes a customer."""

from typing import Any

from console.forms import Field, Form

FIELDS = (
    Field(
        "typed_name",
        "Organization name",
        hint="Type it, or paste it, exactly as it stands above.",
        most=255,
    ),
    Field("reason", "Reason", "textarea", most=500, hint="It stands in the audit."),
)
# blocker -> page that clears it, the place on it, the operation it needs, what the link says
FIXES = {
    "credits_left": ("payment.withdraw", "", "account.withdraw", "Withdraw the credits"),
    "amount_due": ("invoices.pay", "", "payments.record", "Record a payment"),
    "credits_reserved": ("payment.show", "reservations", "account.read", "See the reservations"),
    "unbilled_amount": ("invoices.issue", "", "invoices.issue", "Issue the invoice"),
    "overpaid": ("payment.withdraw", "", "account.withdraw", "Pay the surplus out"),
    "payment_in_flight": ("payment.show", "", "account.read", "See the payment"),
}
_PREPAID = {"amount_due": ("payment.top_up", "", "account.top_up", "Top up")}


def fix(code: str, payment_mode: str) -> tuple[str, str, str, str] | None:
    """The page that clears a blocker; prepaid customers owe no invoice, their credits are below
    zero."""
    return (FIXES | (_PREPAID if payment_mode == "prepaid" else {})).get(code)


def check(form: Form, organization: dict[str, Any]) -> bool:
    """Whether the name was typed exactly and a reason given; else the form says what is wrong."""
    if form.value("typed_name") != organization["name"].strip():
        form.wrong(
            "typed_name",
            "This is not the name of the organization. Type it exactly as it stands above.",
        )
    if not form.value("reason"):
        form.wrong("reason", "Say why.")
    return not form.summary
