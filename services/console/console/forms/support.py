"""The forms to start a support session or to request access, and the texts for refusals."""

from collections.abc import Mapping

from console.clients import Refusal
from console.forms import Field
from console.values.labels import retry_hint

_REASON = Field(
    "reason",
    "Reason",
    "textarea",
    max_length=500,
    hint="The customer sees this in the audit log and in the email summary. Include a ticket "
    "number if you have one.",
)
LOGIN_AS = (_REASON,)
ENTER = (_REASON,)
REQUEST = (
    _REASON,
    Field(
        "access",
        "Access",
        "radio",
        empty_error="Select the type of access.",
        options=(("read", "View"), ("full", "View and edit, within support's permissions")),
    ),
    Field(
        "minutes",
        "Duration",
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

# API error codes whose detail is written for programs.
_TEXTS: Mapping[str, str] = {
    "already_acting": "You already have an active support session. End it first, then start again "
    "here.",
    "consent_required": "This customer manages its own account. Request support access, and log in "
    "once the customer has approved it.",
    "grant_not_active": "This access is not active. The customer has not approved it yet, or it "
    "has ended.",
    "member_not_eligible": "You can't log in as this member. If this is you, switch to the "
    "organization instead. Otherwise check their status, email address and portal access.",
    "mfa_required": "Your provider requires one-time codes. Set up an authenticator app on your "
    "security page first.",
    "managed_service_off": "Remote Support is off because the managed service is turned off in the "
    "provider settings.",
    "organization_not_active": "The organization is not active. Activate it first.",
    "too_many_starts": "You have logged in as members too often. Wait a while, or use Remote "
    "Support.",
    "request_pending": "A request is already waiting for the customer's approval. Wait for it, or "
    "withdraw it first.",
}


def refusal_summary(refusal: Refusal | None) -> list[tuple[str, str]]:
    """The error summary of a refused form; empty if the errors belong to fields."""
    if refusal is None or refusal.errors:
        return []
    text = _TEXTS.get(refusal.code, refusal.detail)
    if refusal.status == 429:
        text += retry_hint(refusal.retry_after)
    return [("", text)]
