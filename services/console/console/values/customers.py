"""The list of customers: its filters, and its lines in a CSV file."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from chassis.csv import Cell

from console.values import labels, locale
from console.values.attention import KINDS

_STATUSES = ("provisioning", "active", "suspended", "closing", "suspended_for_deletion", "deleted")
LABELS = {
    "q": "Search",
    "status": "Status",
    "attention": "Needs attention",
    "payment_mode": "Payment mode",
    "country": "Country",
    "currency": "Currency",
    "demo": "Demo account",
    "sort": "Sort order",
}
COLUMNS = (
    "id",
    "name",
    "customer_ref",
    "billing_ref",
    "type_ref",
    "status",
    "payment_mode",
    "pricing_model",
    "country",
    "currency",
    "usable_credits",
    "balance",
    "credit_limit",
    "amount_due",
    "overdue_amount",
    "oldest_due_on",
    "days_to_empty",
    "members",
    "admins",
    "owner",
    "owner_email",
    "owner_verified",
    "billing_name",
    "billing_email",
    "demo",
    "managed_by",
    "attention",
    "timezone",
    "purge_at",
    "created_at",
    "figures_as_of",
)


@cache
def choices() -> Mapping[str, Sequence[tuple[str, str]]]:
    """Filter -> its values, each with its label."""
    return {
        "status": tuple((code, labels.state(code)[0]) for code in _STATUSES),
        "payment_mode": (("prepaid", "Prepaid"), ("postpaid", "Postpaid")),
        "country": locale.countries(),
        "currency": tuple((code, code) for code, _ in locale.currencies()),
        "demo": (("true", "Demo only"), ("false", "Not demo")),
        "attention": (
            ("any", "Any issue"),
            *((code, kind.heading) for code, kind in KINDS.items()),
        ),
    }


def filter_labels(filters: Mapping[str, str]) -> list[str]:
    """The labels of the filters that are set; an unknown value as it is."""
    return [
        dict(options).get(filters[name], filters[name])
        for name, options in choices().items()
        if filters[name]
    ]


def cells(customer: Mapping[str, Any]) -> list[Cell]:
    """A row of the list, in the order of ``COLUMNS``; amounts are numbers, everything else is
    text."""
    tags = customer["buyer_tags"]
    owner = customer["owner"]
    billing = customer["billing"]
    summary = customer["summary"]
    return [
        customer["id"],
        customer["name"],
        *(tags.get(name) for name in ("CustomerRef", "BillingRef", "TypeRef")),
        customer["status"],
        customer["payment_mode"],
        customer["pricing_model"],
        customer["country"],
        customer["currency"],
        *(
            _amount(summary[name])
            for name in (
                "usable_credits",
                "balance",
                "credit_limit",
                "amount_due",
                "overdue_amount",
            )
        ),
        summary["oldest_due_on"],
        summary["days_to_empty"],
        summary["members"],
        summary["admins"],
        f"{owner['given_name']} {owner['family_name']}",
        owner["email"],
        _yes(owner["verified"]),
        billing["name"],
        billing["email"],
        _yes(customer["demo"]),
        customer["managed_by"],
        " ".join(summary["attention"]),
        customer["timezone"],
        customer["purge_at"],
        customer["created_at"],
        summary["as_of"],
    ]


def _amount(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
