"""The small words of organizations: statuses and what each allows, names, amounts on their way through."""

import re
import unicodedata
from decimal import Decimal
from functools import cache
from zoneinfo import available_timezones

import iso4217
from babel import Locale

PROVISIONING = "provisioning"
ACTIVE = "active"
SUSPENDED = "suspended"
CLOSING = "closing"
SUSPENDED_FOR_DELETION = "suspended_for_deletion"
DELETED = "deleted"

# What staff may do to an organization in each status. ``same``: 200 and nothing changes; ``asks``: the deletion
# conversation begins; ``deletion``: the same Deletion again; ``back``: it becomes what it was before.
STATES: dict[str, dict[str, str]] = {
    PROVISIONING:           {"edit": "409", "suspend": "409",  "activate": "409",  "delete": "409"},
    ACTIVE:                 {"edit": "yes", "suspend": "yes",  "activate": "same", "delete": "asks"},
    SUSPENDED:              {"edit": "yes", "suspend": "same", "activate": "back", "delete": "asks"},
    CLOSING:                {"edit": "409", "suspend": "409",  "activate": "409",  "delete": "deletion"},
    SUSPENDED_FOR_DELETION: {"edit": "409", "suspend": "409",  "activate": "back", "delete": "deletion"},
    DELETED:                {"edit": "410", "suspend": "410",  "activate": "410",  "delete": "deletion"},
}  # fmt: skip

SETTINGS: dict[str, object] = {
    "managed_service": False,
    "allow_refund": True,
    "low_credit_threshold": "20.00",
    "invoicing": "consolidated",
    "payment_terms_days": 14,
    "tax_rates": [],
    "deletion_grace_days": 30,
    "mfa_required": False,
    "step_up_required": False,
}
BUYER_TAGS = ("CustomerRef", "BillingRef", "TypeRef")
NEVER_EMPTY = 2**31 - 1

_NAME_SIGNS = frozenset("~`#+$@&()[]<>⟨⟩\\/-_='\".:!?;^%*{} ‘’“”")
_NO_COUNTRIES = frozenset("AC CP CQ DG EA EU EZ IC QO TA UN XA XB XK ZZ".split())
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


def is_name(text: str) -> bool:
    """Whether every character is a letter or digit of any script, a mark on one, or one of the listed signs."""
    return all(c in _NAME_SIGNS or unicodedata.category(c)[0] in "LN" or unicodedata.category(c) in ("Mn", "Mc")
               for c in text)


@cache
def countries() -> frozenset[str]:
    """ISO 3166 codes of countries: CLDR's territories without its groups and specials."""
    codes = map(str, Locale("en").territories)
    return frozenset(c for c in codes if len(c) == 2 and c.isalpha()) - _NO_COUNTRIES


@cache
def currencies() -> frozenset[str]:
    """The currencies of ISO 4217 that have a number of decimals."""
    return frozenset(c.code for c in iso4217.Currency if c.exponent is not None)


@cache
def timezones() -> frozenset[str]:
    """The names of the tz database that have a place or are UTC."""
    return frozenset(z for z in available_timezones() if "/" in z or z == "UTC")


def is_amount(text: str) -> bool:
    """Whether the text is an unsigned amount of the contract: at most 12 digits before and 6 after the point."""
    return _AMOUNT.fullmatch(text) is not None


def micro_units(amount: str) -> int:
    """A decimal string as an integer of 10⁻⁶, for sorting."""
    return int(Decimal(amount).scaleb(6))
