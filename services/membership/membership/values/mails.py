"""Emails: their purposes and their content."""

from dataclasses import dataclass, field
from typing import Any

CREDITS_LOW, TOP_UP_DUE = "credits_low", "top_up_wanted"
PASSWORD_CHANGED, CODES_ON, CODES_OFF = "password_changed", "codes_on", "codes_off"
RECOVERY_CODE_USED, RECOVERY_CODES_RENEWED = "recovery_used", "recovery_renewed"
CODES_RESET, CODES_RESET_BY = "codes_reset", "codes_reset_by"
NO_CODES, OWN_CODES = "no_codes", "own_codes"
AUTHENTICATOR_ADDED, AUTHENTICATOR_REMOVED = "authenticator_added", "authenticator_removed"
KEY_CREATED, KEYS_SUSPENDED, KEYS_ORPHANED = "key_made", "keys_suspended", "keys_orphaned"
OWNERSHIP_OFFERED, OWNERSHIP_GIVEN, OWNERSHIP_TAKEN = (
    "ownership_offered",
    "ownership_given",
    "ownership_taken",
)
SUPPORT_REQUESTED, SUPPORT_ENDING, SUPPORT_RECEIPT = (
    "support_requested",
    "support_ending",
    "support_receipt",
)
RENEWAL_REQUESTED = "renewal_asked"
ADMIN_ADDED = "admin_added"
CHANGE_UNDONE = "change_undone"
SESSIONS_ENDED = "sessions_ended"


@dataclass(frozen=True, kw_only=True)
class OutgoingMail:
    """An email about to be sent. ``given_name``: empty unless its recipient has proved the address,
    so that nobody else chooses how a stranger is greeted.

    ``token``: the raw token of its link, which exists nowhere else. ``details``: the values in the
    text of a notice, which has no link."""

    mail_id: int
    purpose: str
    to: str
    token: str = ""
    given_name: str = ""
    organization: str
    has_password: bool = False
    details: dict[str, Any] = field(default_factory=dict)
