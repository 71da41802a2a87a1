"""The forms about a customer's money."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.clients import Refusal
from console.forms import AMOUNT_LENGTH, Field, Form
from console.values import days

_METHODS = (
    ("bank_transfer", "Bank transfer"),
    ("cheque", "Check"),
    ("cash", "Cash"),
    ("issue", "Transfer from your own credits"),
)
_CARD = ("card", "Stored card")
_CHOOSE = ("", "Select a method")
_CHARGES = (("usage", "Usage"), ("subscription", "Subscription"), ("one_off", "One-off"))
_ADJUSTMENTS = (
    ("write_off", "Write-off: a small balance or a debt that will not be paid"),
    ("correction", "Correction: fixes an error"),
    ("goodwill", "Goodwill: a credit for the customer"),
)
_REASON = Field(
    "reason",
    "Reason",
    "textarea",
    hint="Recorded in the audit log. Up to 500 characters.",
    max_length=500,
)
_REFERENCE = Field(
    "reference",
    "Reference",
    hint="For example the transfer or check number.",
    required=False,
)
TERM = "term"
INVOICE_PREFIX = "pays_"


def top_up(currency: str, card: bool) -> Sequence[Field]:
    """Record incoming money."""
    return (
        _amount(currency),
        _method(card),
        _REFERENCE,
        Field("remark", "Remark", "textarea", required=False, max_length=500),
    )


def withdrawal(currency: str, card: bool) -> Sequence[Field]:
    """Record outgoing money."""
    return _amount(currency), _method(card), _REFERENCE, _REASON


def charge(currency: str) -> Sequence[Field]:
    """Charge for something sold."""
    return (
        _amount(currency),
        Field("kind", "Type", "radio", options=_CHARGES),
        Field("description", "Description", hint="Shown to the customer on the invoice."),
        Field(
            "cost",
            f"Your cost ({currency})",
            "money",
            hint="Visible to your staff only.",
            required=False,
            max_length=AMOUNT_LENGTH,
            currency=currency,
        ),
        Field(
            "external_invoice",
            "External invoice",
            required=False,
            hint="The number of an invoice from another system. If you enter one, no money is "
            "moved here.",
        ),
    )


def adjustment(currency: str) -> Sequence[Field]:
    """Correct the balance."""
    hint = "Positive amounts credit the customer; negative amounts, such as -5.00, debit them."
    return (
        Field(
            "amount",
            f"Amount ({currency})",
            "money",
            hint=hint,
            max_length=AMOUNT_LENGTH,
            currency=currency,
        ),
        Field("kind", "Type", "radio", options=_ADJUSTMENTS),
        _REASON,
    )


def part(currency: str, whole: str) -> Sequence[Field]:
    """The fields of a refund or a credit note: an amount, or empty for the full remaining
    amount."""
    hint = f"Leave empty for {whole}."
    return Field(
        "amount",
        f"Amount ({currency})",
        "money",
        hint=hint,
        required=False,
        max_length=AMOUNT_LENGTH,
        currency=currency,
    ), _REASON


REVERSAL: Sequence[Field] = (_REASON,)
VOID: Sequence[Field] = (Field("reason", "Reason", "textarea", required=False, max_length=500),)


def limit(currency: str, zone: str, *, postpaid: bool) -> Sequence[Field]:
    """The credit limit and its duration."""
    hint = (
        "The maximum unbilled amount. Must be more than zero."
        if postpaid
        else "How far the balance can go below zero. Enter 0 for no credit."
    )
    return (
        Field(
            "credit_limit",
            f"Credit limit ({currency})",
            "money",
            hint=hint,
            max_length=AMOUNT_LENGTH,
            currency=currency,
        ),
        Field(
            TERM,
            "Duration",
            "radio",
            empty_error="Select a duration.",
            options=(
                ("permanent", "Permanent"),
                ("temporary", "Temporary: returns to the last permanent limit afterwards"),
            ),
        ),
        Field(
            "until",
            "Last day",
            "date",
            empty_error="Enter the last day of the limit.",
            pointer="/credit_limit_expires_at",
            required=False,
            hint=f"Only for a temporary limit. It applies until the end of this day, {zone}.",
        ),
    )


def limit_body(form: Form, zone: str) -> dict[str, Any]:
    """The JSON body. Raises Refusal if something is missing."""
    require(form, "credit_limit", TERM)
    ends = None
    if form.value(TERM) == "temporary":
        require(form, "until")
        ends = _end_of(form.value("until"), zone)
    return {
        "credit_limit": form.amount("credit_limit"),
        "credit_limit_expires_at": ends,
    }


def auto_top_up(currency: str, card: bool, default: str) -> Sequence[Field]:
    """The settings of automatic top-up."""
    return (
        Field("enabled", "Top up automatically", "checkbox", pointer="/auto_top_up/enabled"),
        Field(
            "amount",
            f"Amount ({currency})",
            "money",
            "/auto_top_up/amount",
            max_length=AMOUNT_LENGTH,
            currency=currency,
            required=False,
            hint="Required if automatic top-up is on.",
        ),
        Field(
            "method",
            "Method",
            "select",
            "/auto_top_up/method",
            required=False,
            options=(_CHOOSE, *_methods(card, without=("cash",))),
            hint="For checks and transfers, the customer receives a payment request. Runs at most "
            "once a day.",
        ),
        Field(
            "threshold",
            f"When usable credits fall to ({currency})",
            "money",
            "/auto_top_up/threshold",
            max_length=AMOUNT_LENGTH,
            currency=currency,
            required=False,
            hint=f"Leave empty for 20% of the last top-up{default}.",
        ),
    )


def mode(currency: str, target: str) -> Sequence[Field]:
    """The payment mode; postpaid needs a credit limit."""
    fields = (Field("payment_mode", "Payment mode", "hidden"),)
    if target != "postpaid":
        return fields
    return (
        *fields,
        Field(
            "credit_limit",
            f"Credit limit ({currency})",
            "money",
            max_length=AMOUNT_LENGTH,
            currency=currency,
            hint="The maximum unbilled amount. The limit is permanent. The customer can't buy "
            "anything without one.",
        ),
    )


def payment(currency: str, card: bool, invoices: Sequence[Mapping[str, Any]]) -> Sequence[Field]:
    """Record a payment for invoices."""
    return (
        _amount(currency),
        _method(card),
        _REFERENCE,
        Field("received_on", "Received on", "date", required=False, hint="Leave empty for today."),
        *invoice_checkboxes(invoices),
    )


def invoice_checkboxes(invoices: Sequence[Mapping[str, Any]]) -> Sequence[Field]:
    """A checkbox for each invoice."""
    return tuple(
        Field(f"{INVOICE_PREFIX}{invoice['id']}", str(invoice["number"]), "checkbox")
        for invoice in invoices
    )


def paid_body(form: Form) -> dict[str, Any]:
    """The JSON body of a payment. If no invoice is selected, the oldest are paid first."""
    body = {
        name: value for name, value in form.body().items() if not name.startswith(INVOICE_PREFIX)
    }
    chosen = ticked(form)
    return body | ({"invoice_ids": chosen} if chosen else {})


def ticked(form: Form) -> list[str]:
    """The ids of the selected invoices, in the order shown."""
    return [
        field.name.removeprefix(INVOICE_PREFIX)
        for field in form.fields
        if field.name.startswith(INVOICE_PREFIX) and form.value(field.name) == "on"
    ]


def require(form: Form, *names: str) -> None:
    """Raise Refusal if one of these fields is empty: a PATCH would silently leave it unchanged."""
    missing = [
        {"pointer": field.at, "code": "required", "detail": field.missing}
        for field in form.fields
        if field.name in names and not form.value(field.name)
    ]
    if missing:
        raise Refusal(422, {"code": "invalid", "errors": missing})


def _amount(currency: str) -> Field:
    return Field(
        "amount", f"Amount ({currency})", "money", max_length=AMOUNT_LENGTH, currency=currency
    )


def _method(card: bool) -> Field:
    return Field("method", "Method", "select", options=(_CHOOSE, *_methods(card)))


def _methods(card: bool, without: Sequence[str] = ()) -> Sequence[tuple[str, str]]:
    known = (*_METHODS, _CARD) if card else _METHODS
    return tuple(method for method in known if method[0] not in without)


def _end_of(day: str, zone: str) -> str:
    """The instant at which this day ends in a time zone. Raises Refusal if it is not a date."""
    try:
        return days.begins(day, zone, plus=1)
    except ValueError:
        raise Refusal(
            422,
            {
                "code": "invalid",
                "errors": [
                    {
                        "pointer": "/credit_limit_expires_at",
                        "code": "date",
                        "detail": "Enter a date such as 2026-01-31.",
                    }
                ],
            },
        ) from None
