"""Why somebody has to sign in again, in words."""

from typing import Any

SIGNED_OUT, EXPIRED, ENDED = "signed_out_here", "expired", "ended"
_ACCESS = "Your session ended because your access to the organization has changed."
_TEXTS = {
    SIGNED_OUT: "You have signed out in this browser.",
    EXPIRED: "Your session ended because it expired.",
    ENDED: "Your session ended: it expired, or it was ended somewhere else.",
    "signed_out": "Your session ended because you signed out somewhere else.",
    "password_changed": "Your session ended because your password was changed.",
    "ended_by_admin": "Your session was ended by an admin of the organization or its provider.",
    "codes_switched": "Your session ended because one-time codes were turned on or off.",
    "address_changed": "Your session ended because the email address that you sign in with was "
    "changed.",
    **dict.fromkeys(
        (
            "login_taken",
            "member_disabled",
            "member_removed",
            "organization_ended",
            "organization_suspended",
        ),
        _ACCESS,
    ),
}


def known(reason: Any) -> str:
    """The reason if there is a text for it: it may come from an address that somebody made up."""
    return reason if reason in _TEXTS else ENDED


def text(reason: str | None) -> str:
    """The sentence for a reason; empty for none."""
    return _TEXTS[known(reason)] if reason else ""
