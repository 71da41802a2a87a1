"""How states, kinds and amounts are said to people."""

from collections.abc import Mapping
from decimal import Decimal

from babel.core import get_global
from babel.numbers import get_currency_precision

# state -> (words, icon, tone)
STATES: Mapping[str, tuple[str, str, str]] = {
    "provisioning": ("Being set up", "clock", "info"),
    "active": ("Active", "check", "good"),
    "suspended": ("Suspended", "pause", "warn"),
    "closing": ("Being closed", "clock", "warn"),
    "suspended_for_deletion": ("Suspended for deletion", "trash", "bad"),
    "deleted": ("Deleted", "trash", "muted"),
    "pending": ("Not verified yet", "clock", "warn"),
    "disabled": ("Disabled", "pause", "muted"),
    "draft": ("Draft", "clock", "muted"),
    "awaiting_payment": ("Awaiting payment", "clock", "warn"),
    "paid": ("Paid", "check", "good"),
    "void": ("Void", "cross", "muted"),
    "open": ("Open", "check", "good"),
    "frozen": ("Frozen", "pause", "warn"),
    "closed": ("Closed", "cross", "muted"),
}


def state(code: str) -> tuple[str, str, str]:
    """Words, icon and tone of a state; a state we do not know yet is said by its code."""
    return STATES.get(code, (words(code), "dot", "muted"))


def words(code: str) -> str:
    """A code as words: ``top_up`` -> ``Top up``."""
    return code.replace("_", " ").replace(".", ": ").capitalize()


def money(amount: str | None, currency: str = "") -> str:
    """An amount for people: digits grouped, every decimal it has, a true minus sign. None is a dash."""
    if amount is None:
        return "–"
    whole, _, fraction = amount.lstrip("-").partition(".")
    grouped = f"{int(whole):,}" + (f".{fraction}" if fraction else "")
    sign = "\N{MINUS SIGN}" if amount.startswith("-") else ""
    return f"{sign}{grouped}\N{NO-BREAK SPACE}{currency}" if currency else f"{sign}{grouped}"


def sign(amount: str | None) -> int:
    """-1, 0 or 1."""
    value = Decimal(amount or "0")
    return (value > 0) - (value < 0)


def decimals(currency: str) -> int:
    """How many decimals people type for a currency."""
    return int(get_currency_precision(currency))


def countries() -> dict[str, str]:
    """Two-letter code -> name in English."""
    from babel import Locale

    skipped = set("AC CP CQ DG EA EU EZ IC QO TA UN XA XB XK ZZ".split())
    names = Locale("en").territories
    known = get_global("territory_zones")
    return {code: names[code] for code in sorted(known, key=lambda c: names.get(c, c))
            if len(code) == 2 and code.isalpha() and code in names and code not in skipped}
