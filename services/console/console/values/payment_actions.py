"""What can be done with an account, and why some of it cannot be done now."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from console.values.figures import withdrawable
from console.values.labels import sign

NOTHING_UNBILLED = "Nothing is unbilled."


@dataclass(frozen=True)
class PaymentAction:
    """``operation``: what it needs; ``endpoint``: its page; ``obstacle``: why it cannot be done
    now, empty if it can."""

    operation: str
    endpoint: str
    label: str
    obstacle: str = ""


def is_unbilled(account: Mapping[str, Any]) -> bool:
    """Whether a postpaid account has something to invoice."""
    return sign(account["expecting_invoice"]) < 0


def actions(account: Mapping[str, Any]) -> list[PaymentAction]:
    """The actions for an account that is not closed; first the one that its state calls for."""
    pay = PaymentAction("payments.record", "invoices.pay", "Record payment")
    top_up = PaymentAction("account.top_up", "payment.top_up", "Top up")
    others = [
        PaymentAction(
            "account.withdraw",
            "payment.withdraw",
            "Withdraw",
            "" if Decimal(withdrawable(account)) else "There is nothing to withdraw.",
        ),
        PaymentAction(
            "account.charge",
            "payment.charge",
            "Charge",
            "" if account["status"] == "open" else "The account is frozen.",
        ),
        PaymentAction("account.adjust", "payment.adjust", "Adjust"),
        PaymentAction("account.change", "payment.limit", "Credit limit"),
    ]
    if account["payment_mode"] == "prepaid":
        return [top_up, *others]
    has_unbilled = is_unbilled(account)
    issue = PaymentAction(
        "invoices.issue",
        "invoices.issue",
        "Issue invoice",
        "" if has_unbilled else NOTHING_UNBILLED,
    )
    is_due = sign(account["amount_due"]) < 0
    first = [issue, pay] if has_unbilled and not is_due else [pay, issue]
    return [*first, top_up, *others]
