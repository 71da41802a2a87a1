"""Amounts as people of a locale read and type them."""

import re
from contextvars import ContextVar
from copy import copy
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.numbers import NumberPattern, get_currency_precision, parse_pattern

# The locales whose numbers are written here; the texts are English in all of them.
LOCALES = ("en", "de", "de-CH", "es", "fr", "it", "nl", "pl", "pt")
_EXAMPLE = "1250.50"
_MINUS, _SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
_TYPED = re.compile(
    r"(?P<sign>-?)(?P<whole>[0-9]{1,3}(?:(?P<group>[ .,])[0-9]{3}(?:(?P=group)[0-9]{3})*)?|[0-9]+)"
    r"(?:(?P<point>[.,])(?P<part>[0-9]+))?"
)
_locale: ContextVar[str] = ContextVar("locale", default=LOCALES[0])


class Unreadable(Exception):
    """What was typed is no amount, or may be one of two; the message says what to enter."""


def use_locale(name: str) -> None:
    """Write and read amounts in this request as in one of ``LOCALES``."""
    _locale.set(name)


def decimals(currency: str) -> int:
    """How many decimals a currency has."""
    return int(get_currency_precision(currency))


def money(amount: str | None, currency: str = "", *, code: bool = True) -> str:
    """An amount of the API for people: digits grouped, at least the decimals of the currency and
    all that there are, a true minus sign; a dash for None. ``code``: whether the currency is
    written."""
    if amount is None:
        return "–"
    value, locale = Decimal(amount), _locale.get()
    digits = max(_decimals_of(value), decimals(currency) if currency else 0)
    text = _pattern(locale, digits).apply(abs(value), _parsed(locale))
    sign = _MINUS if value < 0 else ""
    if not currency or not code:
        return sign + text
    if _is_code_first(locale):
        return f"{sign}{currency}{_SPACE}{text}"
    return f"{sign}{text}{_SPACE}{currency}"


def in_field(amount: str) -> str:
    """An amount of the API as somebody would type it; anything else as it is."""
    return amount.replace(".", _marks(_locale.get())[1]) if _is_decimal(amount) else amount


def shown(typed: str, currency: str = "") -> str:
    """What was typed, as ``money`` writes it; as it is if it cannot be read."""
    try:
        return money(read(typed, currency), currency)
    except Unreadable:
        return typed


def read(typed: str, currency: str = "") -> str:
    """What was typed, as the API takes it. Both separators are understood; where one alone may
    group digits or begin the decimals, the locale decides, unless the currency has no such number
    of decimals. Raises Unreadable."""
    text = re.sub("[\\s'\N{RIGHT SINGLE QUOTATION MARK}]", " ", typed.strip())
    match = _TYPED.fullmatch(text.replace(_MINUS, "-"))
    if match is None or (match["group"] and match["group"] == match["point"]):
        raise Unreadable(f"Enter an amount such as {money(_EXAMPLE)}.")
    whole, part = match["whole"], match["part"] or ""
    digits = re.sub("[ .,]", "", whole)
    if match["group"] in (".", ",") and not part and len(digits) <= 6:
        number = _either(typed, whole, currency)
    else:
        number = f"{digits}.{part}" if part else digits
    return match["sign"] + number


def _either(typed: str, whole: str, currency: str) -> str:
    """The number that one separator with three digits after it means."""
    separator = "." if "." in whole else ","
    grouped, decimal = whole.replace(separator, ""), whole.replace(separator, ".")
    group, point = _marks(_locale.get())
    if whole.startswith("0"):
        return decimal
    if separator == group:
        return grouped
    if separator == point and (not currency or decimals(currency) == 3):
        return decimal
    unlike_groups = f"{Decimal(decimal).normalize():f}"
    if _decimals_of(Decimal(unlike_groups)) == 3:
        unlike_groups += "0"
    readings = (money(each, currency, code=False) for each in (grouped, unlike_groups))
    raise Unreadable(f"Enter {' or '.join(readings)}: “{typed}” can mean either.")


def _is_decimal(amount: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", amount) is not None


def _decimals_of(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@cache
def _parsed(locale: str) -> Locale:
    return Locale.parse(locale, sep="-")


@cache
def _pattern(locale: str, digits: int) -> NumberPattern:
    standard: NumberPattern = _parsed(locale).decimal_formats[None]
    pattern = copy(parse_pattern(standard.pattern))
    pattern.frac_prec = (digits, digits)
    return pattern


@cache
def _is_code_first(locale: str) -> bool:
    return str(_parsed(locale).currency_formats["standard"].pattern).startswith("¤")


@cache
def _marks(locale: str) -> tuple[str, str]:
    """What groups digits, and what begins the decimals."""
    symbols = _parsed(locale).number_symbols["latn"]
    return str(symbols["group"]), str(symbols["decimal"])
