"""Customers that need attention: the kinds, and their texts."""

from collections.abc import Mapping
from dataclasses import dataclass

from console.values.labels import label


@dataclass(frozen=True)
class Attention:
    """One kind. ``heading``: above a list; ``mark``: next to a customer; ``todo``: what to do;
    ``action``: the page where it is done, with the operation it needs and the words of the link."""

    heading: str
    mark: str
    tone: str
    todo: str
    action: tuple[str, str, str] | None = None


_TOP_UP = ("payment.top_up", "account.top_up", "Top up")
# In the order in which they matter.
KINDS: Mapping[str, Attention] = {
    "invoice_overdue": Attention(
        "Overdue invoices",
        "Overdue",
        "bad",
        "Remind them, or record the payment if it has arrived.",
        ("invoices.pay", "payments.record", "Record payment"),
    ),
    "credits_overdrawn": Attention(
        "Credits below zero",
        "Overdrawn",
        "bad",
        "Services are blocked until they top up or get a higher credit limit.",
        _TOP_UP,
    ),
    "limit_near": Attention(
        "Credit limit nearly used",
        "Limit nearly used",
        "warn",
        "At least 90% of the limit is used. Ask them to pay, or raise the limit.",
        ("payment.limit", "account.change", "Change limit"),
    ),
    "top_up_failed": Attention(
        "Automatic top-up failed",
        "Top-up failed",
        "bad",
        "It is tried again each day. Ask them to pay in another way.",
        _TOP_UP,
    ),
    "credits_run_out": Attention(
        "Credits run out within 7 days",
        "Runs out soon",
        "warn",
        "Based on the last 14 days. Ask them to top up.",
        _TOP_UP,
    ),
    "owner_unverified": Attention(
        "Owner not verified",
        "Owner not verified",
        "warn",
        "They can't sign in yet. Resend the verification email.",
        ("members.resend", "member.resend", "Resend email"),
    ),
    "deletion_scheduled": Attention(
        "Deletion scheduled",
        "Deletion scheduled",
        "bad",
        "Activate the organization before that date to keep it.",
        ("settings.activate", "organization.activate", "Activate"),
    ),
}


def attention(code: str) -> Attention:
    """The texts of a kind; an unknown one is shown by its code."""
    return KINDS.get(code) or Attention(label(code), label(code), "warn", "")
