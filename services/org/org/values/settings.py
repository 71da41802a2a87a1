"""A provider's settings: the defaults, and merging changes into them."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

_COMPANY = ("name", "address", "city", "tax_id", "registration", "bank_details", "sender")
_WITH_PARTS = ("company", "numbering")
DEFAULTS: dict[str, Any] = {
    "company": dict.fromkeys(_COMPANY),
    "managed_service": False,
    "allow_refund": True,
    "low_credit_threshold": "20.00",
    "invoicing": "consolidated",
    "payment_terms_days": 14,
    "tax_rates": [],
    "deletion_grace_days": 30,
    "numbering": {
        "invoice": "INV-{yyyy}-{seq:5}",
        "credit_note": "CN-{yyyy}-{seq:5}",
        "receipt": "RCT-{yyyy}-{seq:5}",
    },
    "document_rounding": "currency",
    "mfa_required": False,
    "step_up_required": False,
    "invitations_per_hour": 500,
}


def effective(chosen: dict[str, Any]) -> dict[str, Any]:
    """All settings: what was chosen, the default where nothing was."""
    parts = {name: DEFAULTS[name] | chosen.get(name, {}) for name in _WITH_PARTS}
    return DEFAULTS | chosen | parts


def merged(chosen: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is chosen after a change (JSON Merge Patch): a part that is not named stays as it is,
    null takes it back to its default."""
    result = dict(chosen)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            result[name] = merged(result.get(name, {}), value)
        else:
            result[name] = value
    return result


def without_logo(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the audit records them: with the digest of the logo in its place."""
    company = dict(settings["company"])
    if "logo" in company:
        company["logo"] = f"sha256:{sha256(company['logo'].encode()).hexdigest()}"
    return {**settings, "company": company}
