"""What a mail says."""

from dataclasses import dataclass, field
from typing import Any

CREDITS_LOW, TOP_UP_WANTED = "credits_low", "top_up_wanted"
PASSWORD_CHANGED, CODES_ON, CODES_OFF = "password_changed", "codes_on", "codes_off"
RECOVERY_CODE_USED = "recovery_used"
KEY_MADE = "key_made"
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
RENEWAL_ASKED = "renewal_asked"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail about to be sent; ``token`` is the raw one and exists nowhere else. ``figures``: what
    a notice says; it has no token."""

    mail_id: int
    purpose: str
    to: str
    token: str = ""
    given_name: str = ""
    organization: str
    has_password: bool = False
    figures: dict[str, Any] = field(default_factory=dict)
