"""What needs somebody, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from console.values.labels import label


@dataclass(frozen=True)
class Attention:
    """A kind of it. ``heading``: over those it is true of; ``mark``: beside one of them; ``todo``:
    what helps."""

    heading: str
    mark: str
    tone: str
    todo: str


# In the order in which they matter.
KINDS: Mapping[str, Attention] = {
    "credits_overdrawn": Attention(
        "Credits below zero",
        "Overdrawn",
        "bad",
        "Services are blocked until they top up or get a higher credit limit.",
    ),
    "credits_run_out": Attention(
        "Credits run out within 7 days",
        "Runs out soon",
        "warn",
        "Based on the last 14 days. Ask them to top up.",
    ),
    "owner_unverified": Attention(
        "Owner not verified",
        "Owner not verified",
        "warn",
        "They can't sign in yet. Resend the verification email.",
    ),
    "deletion_scheduled": Attention(
        "Deletion scheduled",
        "Deletion scheduled",
        "bad",
        "Activate the organization before that date to keep it.",
    ),
}


def attention(code: str) -> Attention:
    """The words of a kind; one we do not know yet is said by its code."""
    return KINDS.get(code) or Attention(label(code), label(code), "warn", "")


def days_left(until: str, now: datetime) -> int:
    """Days, begun ones counted whole; 0 when the time has come."""
    return max(0, ceil((datetime.fromisoformat(until) - now).total_seconds() / 86400))
