"""The forms of the provider: its settings, its own money."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.forms import Field, Form
from console.values import places

SUPPORT = (
    Field(
        "managed_service",
        "Managed Service",
        "checkbox",
        required=False,
        hint="Allows Remote Support in customers’ organizations. Switched off, sessions under way end.",
    ),
)
MONEY = (
    Field("allow_refund", "Refunds are allowed", "checkbox", required=False),
    Field(
        "low_credit_threshold",
        "Low credit threshold",
        "money",
        most=19,
        hint="Below it a customer counts as low on credits, in the customer’s own currency.",
    ),
    Field(
        "invoicing",
        "Invoicing",
        "radio",
        options=(
            ("individual", "Individual: an invoice for each charge"),
            ("consolidated", "Consolidated: one invoice for all"),
            ("none", "None: no invoices"),
        ),
    ),
    Field(
        "payment_terms_days",
        "Payment terms",
        "number",
        hint="Days until an invoice is due, 0 to 365.",
        most=3,
    ),
)
CLOSING = (
    Field(
        "deletion_grace_days",
        "Days to undo a deletion",
        "number",
        most=3,
        hint="0 to 365. With 0 a deleted customer is gone at once.",
    ),
)
SAFETY = (
    Field(
        "mfa_required",
        "Staff log in with one-time codes",
        "checkbox",
        required=False,
        hint="Whoever has none yet must set them up.",
    ),
    Field(
        "step_up_required",
        "The danger zone wants a fresh proof",
        "checkbox",
        required=False,
        hint="Deleting, withdrawing, transferring, logging in for others and these settings ask for the password.",
    ),
)
BLOCKS: Mapping[str, tuple[Field, ...]] = {
    "Remote Support": SUPPORT,
    "Money": MONEY,
    "Deletion": CLOSING,
    "Security of your staff": SAFETY,
}
PLAIN = tuple(one for block in BLOCKS.values() for one in block)
_TAX = ("country", "name", "rate", "valid_from")
MOST_RATES = 300


def tax_row(at: int) -> tuple[Field, ...]:
    """The fields of one tax rate."""
    where, on = f"tax_{at}_", f"/tax_rates/{at}/"
    return (
        Field(
            f"{where}country",
            f"Country of rate {at + 1}",
            "select",
            f"{on}country",
            options=(("", "Choose"), *places.countries()),
        ),
        Field(f"{where}name", f"Name of rate {at + 1}", pointer=f"{on}name", most=50),
        Field(f"{where}rate", f"Per cent of rate {at + 1}", "money", f"{on}rate", most=8),
        Field(f"{where}valid_from", f"First day of rate {at + 1}", "date", f"{on}valid_from"),
    )


def fields(rows: int) -> Sequence[Field]:
    """Every field, with so many tax rates."""
    rates = [one for at in range(min(rows, MOST_RATES)) for one in tax_row(at)]
    return (*PLAIN, Field("rows", "Rows", "hidden", required=False), *rates)


def values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields hold now."""
    rates = settings["tax_rates"]
    taxes = {f"tax_{at}_{part}": rate[part] for at, rate in enumerate(rates) for part in _TAX}
    return {**{one.name: settings[one.name] for one in PLAIN}, "rows": len(rates), **taxes}


def drop_row(typed: Mapping[str, str], gone: int) -> dict[str, str]:
    """What was typed, without one of the tax rates: those after it move up."""
    rows = int(typed["rows"])
    kept = [at for at in range(rows) if at != gone]
    moved = {
        f"tax_{new}_{part}": typed.get(f"tax_{old}_{part}", "")
        for new, old in enumerate(kept)
        for part in _TAX
    }
    return {**{one.name: typed.get(one.name, "") for one in PLAIN}, **moved, "rows": str(len(kept))}


def body(form: Form) -> dict[str, Any]:
    """What is sent: every setting, and the tax rates as a list."""
    made = form.body(empty=True)
    made.pop("rows")
    rates = made.pop("tax_rates", {})
    return {
        **made,
        "tax_rates": [{part: rate[part] or "" for part in _TAX} for rate in rates.values()],
    }


def top_up(currencies: Sequence[str]) -> tuple[Field, ...]:
    """The fields of a top-up of the provider's own money."""
    return (
        Field("amount", "Amount", "money", most=19),
        Field("currency", "Currency", "select", options=[(code, code) for code in currencies]),
        Field(
            "method",
            "Method",
            "select",
            options=(
                ("bank_transfer", "Bank transfer"),
                ("cash", "Cash"),
                ("cheque", "Cheque"),
                ("card", "Card"),
            ),
        ),
        Field(
            "reference", "Reference", required=False, hint="Of the bank, the cheque or the receipt."
        ),
        Field("remark", "Remark", "textarea", required=False, most=500),
    )
