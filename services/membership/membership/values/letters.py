"""What a mail says."""

from dataclasses import dataclass, field
from typing import Any

CREDITS_LOW, TOP_UP_WANTED = "credits_low", "top_up_wanted"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail about to be sent; ``token`` is the raw one and exists nowhere else. ``figures``: what a notice says; it
    has no token."""

    mail_id: int
    purpose: str
    to: str
    token: str = ""
    given_name: str = ""
    organization: str
    has_password: bool = False
    figures: dict[str, Any] = field(default_factory=dict)
