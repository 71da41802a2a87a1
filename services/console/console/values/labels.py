"""Labels for states, codes and amounts."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.countries import COUNTRIES

# state -> (words, icon, tone)
STATES: Mapping[str, tuple[str, str, str]] = {
    "provisioning": ("Being set up", "clock", "info"),
    "active": ("Active", "check", "good"),
    "suspended": ("Suspended", "pause", "warn"),
    "closing": ("Closing", "clock", "warn"),
    "suspended_for_deletion": ("Suspended for deletion", "trash", "bad"),
    "deleted": ("Deleted", "trash", "muted"),
    "pending": ("Not verified yet", "clock", "warn"),
    "disabled": ("Disabled", "pause", "muted"),
    "draft": ("Draft", "clock", "muted"),
    "awaiting_payment": ("Awaiting payment", "clock", "warn"),
    "paid": ("Paid", "check", "good"),
    "credited": ("Credited", "check", "muted"),
    "written_off": ("Written off", "check", "muted"),
    "settled": ("Settled", "check", "good"),
    "void": ("Void", "cross", "muted"),
    "open": ("Open", "check", "good"),
    "frozen": ("Frozen", "pause", "warn"),
    "closed": ("Closed", "cross", "muted"),
    "grant_pending": ("Waiting for approval", "clock", "warn"),
    "grant_active": ("Active", "check", "good"),
    "grant_refused": ("Declined", "cross", "muted"),
    "grant_ended": ("Ended", "cross", "muted"),
    "grant_expired": ("Expired", "clock", "muted"),
}

_BANNER_TONES = {"provisioning": "info", "deleted": "info", "suspended_for_deletion": "bad"}
_WRITTEN = {
    "api_key": "API key",
    "cheque": "Check",
    "one_off": "One-off",
    "top_up": "Top-up",
    "write_off": "Write-off",
}


def state(code: str) -> tuple[str, str, str]:
    """Label, icon and tone of a state; an unknown one is shown by its code."""
    return STATES.get(code, (label(code), "dot", "muted"))


def banner_tone(status: str) -> str:
    """The tone of the banner about an organization with this status."""
    return _BANNER_TONES.get(status, "warn")


def label(code: str) -> str:
    """A code as words: ``bank_transfer`` -> ``Bank transfer``."""
    return _WRITTEN.get(code) or code.replace("_", " ").replace(".", ": ").capitalize()


def actor(by: Mapping[str, Any]) -> str:
    """Who did something, from the actor of an entry; in a support session both names."""
    name = str(by.get("label") or by["kind"])
    acting = by.get("acting") or {}
    staff = acting.get("name")
    if not staff or staff == name:
        return name
    return (
        f"{staff} logged in as {name}" if acting.get("mode") == "login_as" else f"{staff} as {name}"
    )


def retry_hint(seconds: int | None) -> str:
    """When to try again after too many requests; empty if that is not known."""
    if not seconds:
        return ""
    minutes = -(-seconds // 60)
    if minutes == 1:
        wait = "a minute"
    elif minutes < 120:
        wait = f"{minutes} minutes"
    else:
        wait = f"{minutes // 60} hours"
    return f" You can try again in {wait}."


def duration(minutes: int) -> str:
    """``90`` -> ``90 minutes``, ``480`` -> ``8 hours``, ``1440`` -> ``1 day``."""
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            return f"{minutes // size} {unit}" + ("" if minutes == size else "s")
    return f"{minutes} minutes"


def sign(amount: str | None) -> int:
    """-1, 0 or 1."""
    value = Decimal(amount or "0")
    return (value > 0) - (value < 0)


def countries() -> dict[str, str]:
    """Two-letter code -> name in English."""
    from babel import Locale

    names = Locale("en").territories
    by_name = sorted(COUNTRIES, key=lambda code: str(names[code]))
    return {code: str(names[code]) for code in by_name}
