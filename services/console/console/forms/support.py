"""Stepping into a customer's account: why, for how long, how far; and what a refusal says to
whoever asked."""

from collections.abc import Mapping

from console.clients import Refusal
from console.forms import Field
from console.values.words import again

_REASON = Field(
    "reason",
    "Reason",
    "textarea",
    most=500,
    hint="The customer reads it in their audit and in the receipt they are mailed. A ticket number helps.",
)
LOGIN_AS = (_REASON,)
ENTER = (_REASON,)
REQUEST = (
    _REASON,
    Field(
        "access",
        "What support may do",
        "radio",
        options=(("read", "Look only"), ("full", "Look and change, as far as support may")),
    ),
    Field(
        "minutes",
        "For how long",
        "select",
        pointer="/minutes",
        options=(
            ("60", "1 hour"),
            ("480", "8 hours"),
            ("1440", "1 day"),
            ("10080", "7 days"),
            ("43200", "30 days"),
        ),
    ),
)

# What the API says to programs, said to people.
_WORDS: Mapping[str, str] = {
    "already_acting": "You are inside a customer's account already. Stop that first, then start again here.",
    "grant_not_active": "This grant is not in force: the customer has not consented yet, or it is over.",
    "managed_service_off": "Remote Support is switched off: the managed service is off in the provider's settings.",
    "organization_not_active": "The organization is not active. Activate it first.",
    "too_many_starts": "You have stepped in as members too often. Wait, or use Remote Support.",
    "request_pending": "A request waits for the customer's consent already. Wait for it, or withdraw it first.",
}


def plain(refusal: Refusal | None) -> list[tuple[str, str]]:
    """The summary of a refused form, in words for people; empty where the fields say what is
    wrong."""
    if refusal is None or refusal.errors:
        return []
    said = _WORDS.get(
        refusal.code, refusal.detail.partition(": POST /")[0].partition(": DELETE /")[0]
    )
    return [("", said + (again(refusal.retry_after) if refusal.status == 429 else ""))]
