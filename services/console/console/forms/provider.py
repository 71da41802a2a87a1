"""The forms of the provider: its settings, its wallet."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.forms import AMOUNT_LENGTH, Field, Form
from console.values import locale

SUPPORT = (
    Field(
        "managed_service",
        "Managed Service",
        "checkbox",
        required=False,
        hint="Allows Remote Support in customers' organizations. If you turn this off, active "
        "sessions end.",
    ),
)
MONEY = (
    Field("allow_refund", "Allow refunds", "checkbox", required=False),
    Field(
        "low_credit_threshold",
        "Low credit threshold",
        "money",
        max_length=AMOUNT_LENGTH,
        hint="Customers below this amount, in their own currency, count as low on credits.",
    ),
    Field(
        "invoicing",
        "Invoicing",
        "radio",
        empty_error="Select how customers are invoiced.",
        options=(
            ("individual", "Individual: one invoice per charge"),
            ("consolidated", "Consolidated: one invoice for all charges"),
            ("none", "None: no invoices"),
        ),
    ),
    Field(
        "payment_terms_days",
        "Payment terms",
        "number",
        empty_error="Enter the payment terms in days.",
        hint="Number of days until an invoice is due, 0 to 365.",
        max_length=3,
    ),
)
CLOSING = (
    Field(
        "deletion_grace_days",
        "Days to undo a deletion",
        "number",
        max_length=3,
        empty_error="Enter the number of days to undo a deletion.",
        hint="0 to 365. With 0, customers are permanently deleted immediately.",
    ),
)
SAFETY = (
    Field(
        "mfa_required",
        "Require one-time codes for staff",
        "checkbox",
        required=False,
        hint="Staff who don't use them yet must set them up.",
    ),
    Field(
        "step_up_required",
        "Require re-authentication for sensitive actions",
        "checkbox",
        required=False,
        hint="Ask for the password before deleting, withdrawing, transferring ownership, logging "
        "in as a member or changing these settings.",
    ),
)
INVITATIONS = (
    Field(
        "invitations_per_hour",
        "Invitations per hour",
        "number",
        max_length=5,
        empty_error="Enter the number of invitations per hour.",
        hint="1 to 10000, sent by your team and its API keys. Owners of new customers are counted "
        "separately: above this number, they get their invitation in one of the next hours.",
    ),
)
BLOCKS: Mapping[str, tuple[Field, ...]] = {
    "Remote Support": SUPPORT,
    "Money": MONEY,
    "Deletion": CLOSING,
    "Invitations": INVITATIONS,
    "Staff security": SAFETY,
}
PLAIN = tuple(field for block in BLOCKS.values() for field in block)
_TAX = ("country", "name", "rate", "valid_from")
MAX_RATES = 300


def tax_row(at: int) -> tuple[Field, ...]:
    """The fields of one tax rate."""
    where, on = f"tax_{at}_", f"/tax_rates/{at}/"
    return (
        Field(
            f"{where}country",
            f"Country of rate {at + 1}",
            "select",
            f"{on}country",
            options=(("", "Select a country"), *locale.countries()),
            empty_error=f"Select the country of rate {at + 1}.",
        ),
        Field(
            f"{where}name",
            f"Name of rate {at + 1}",
            pointer=f"{on}name",
            max_length=50,
            empty_error=f"Enter the name of rate {at + 1}.",
        ),
        Field(
            f"{where}rate",
            f"Percentage of rate {at + 1}",
            "money",
            f"{on}rate",
            max_length=8,
            empty_error=f"Enter the percentage of rate {at + 1}.",
        ),
        Field(
            f"{where}valid_from",
            f"Start date of rate {at + 1}",
            "date",
            f"{on}valid_from",
            empty_error=f"Enter the start date of rate {at + 1}.",
        ),
    )


def fields(rows: int) -> Sequence[Field]:
    """All fields, with this many tax rates."""
    rates = [field for at in range(min(rows, MAX_RATES)) for field in tax_row(at)]
    return (*PLAIN, Field("rows", "Rows", "hidden", required=False), *rates)


def values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The current values of the fields."""
    rates = settings["tax_rates"]
    taxes = {f"tax_{at}_{part}": rate[part] for at, rate in enumerate(rates) for part in _TAX}
    return {**{field.name: settings[field.name] for field in PLAIN}, "rows": len(rates), **taxes}


def drop_row(typed: Mapping[str, str], gone: int) -> dict[str, str]:
    """The submitted values without one of the tax rates; later ones move up."""
    rows = int(typed["rows"])
    kept = [at for at in range(rows) if at != gone]
    moved = {
        f"tax_{new}_{part}": typed.get(f"tax_{old}_{part}", "")
        for new, old in enumerate(kept)
        for part in _TAX
    }
    return {
        **{field.name: typed.get(field.name, "") for field in PLAIN},
        **moved,
        "rows": str(len(kept)),
    }


def body(form: Form) -> dict[str, Any]:
    """The JSON body: all settings, tax rates as a list."""
    made = form.body(empty=True)
    made.pop("rows")
    rates = made.pop("tax_rates", {})
    made["tax_rates"] = [_tax_rate(rate) for rate in rates.values()]
    return made


def _tax_rate(rate: dict[str, Any]) -> dict[str, Any]:
    return {part: rate[part] or "" for part in _TAX}


def top_up(currencies: Sequence[str]) -> tuple[Field, ...]:
    """The fields of a top-up of the provider's wallet."""
    return (
        Field("amount", "Amount", "money", max_length=AMOUNT_LENGTH),
        Field("currency", "Currency", "select", options=[(code, code) for code in currencies]),
        Field(
            "method",
            "Method",
            "select",
            options=(
                ("bank_transfer", "Bank transfer"),
                ("cash", "Cash"),
                ("cheque", "Check"),
                ("card", "Card"),
            ),
        ),
        Field(
            "reference",
            "Reference",
            required=False,
            hint="For example the bank, check or receipt number.",
        ),
        Field("remark", "Remark", "textarea", required=False, max_length=500),
    )
