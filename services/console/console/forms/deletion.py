"""The form that deletes a customer."""

from typing import Any

from console.forms import Field, Form

FIELDS = (
    Field(
        "typed_name",
        "Organization name",
        hint="Enter the name exactly as shown above. You can paste it.",
        max_length=255,
    ),
    Field("reason", "Reason", "textarea", max_length=500, hint="Recorded in the audit log."),
)
# blocker -> page that clears it, the place on it, the operation it needs, what the link says
FIXES = {
    "credits_left": ("payment.withdraw", "", "account.withdraw", "Withdraw credits"),
    "amount_due": ("invoices.pay", "", "payments.record", "Record payment"),
    "credits_reserved": ("payment.show", "reservations", "account.read", "View reservations"),
    "unbilled_amount": ("invoices.issue", "", "invoices.issue", "Issue invoice"),
    "overpaid": ("payment.withdraw", "", "account.withdraw", "Withdraw the overpayment"),
    "payment_in_flight": ("payment.show", "", "account.read", "View payment"),
}
_PREPAID = {"amount_due": ("payment.top_up", "", "account.top_up", "Top up")}


def fix(code: str, payment_mode: str) -> tuple[str, str, str, str] | None:
    """The page that resolves a blocker. Prepaid customers have no invoices; their credits are below
    zero."""
    return (FIXES | (_PREPAID if payment_mode == "prepaid" else {})).get(code)


def check(form: Form, organization: dict[str, Any]) -> bool:
    """Whether the name matches exactly and a reason was given; adds errors otherwise."""
    if form.value("typed_name") != organization["name"].strip():
        form.add_error(
            "typed_name",
            "Enter the organization name exactly as shown above.",
        )
    if not form.value("reason"):
        form.add_error("reason", "Enter a reason.")
    return not form.summary
