"""Preparing texts, dates and amounts for an invoice's layout."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_interval

from billing.values import format_money, parse_money

ENGLISH = Locale("en", "GB")
_FIGURE_SPACE, _POINT_SPACE, _MINUS, _BREAK_HERE = "\u2007", "\u2008", "\u2212", "\u200b"
# Control characters, lone surrogates, line and paragraph separators.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
# Characters that change the direction of the text after them. Each text is isolated instead.
_DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Words that may be too long for a line. Chinese, Japanese and Korean break anywhere.
_LONG_WORD = re.compile(
    "[^\\s\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]{25,}"
)
# Thai and Lao vowels written before and after their consonant, and the zero-width joiner.
_JOINS_NEXT, _JOINS_PREVIOUS = "เแโใไເແໂໃໄ\u200d", "ะาำๅๆຯະາຳໆ\u200d"
_FIRST_FOUR_DIGITS = 1000
_PART_LENGTH = 8
_FOOTER_LENGTH = 60


class AmountColumn:
    """Amounts of one invoice, aligned at their decimal points.

    Figure spaces fill up those with fewer decimals.
    """

    def __init__(self, currency: str, amounts: Iterable[str]) -> None:
        self.currency = currency
        self.decimals = max(len(amount.partition(".")[2]) for amount in amounts)

    def from_millionths(self, amount: int) -> str:
        return self.show(format_money(amount, self.currency))

    def show(self, amount: str) -> str:
        decimals = len(amount.partition(".")[2])
        point = _POINT_SPACE if self.decimals and not decimals else ""
        return group_digits(amount) + point + _FIGURE_SPACE * (self.decimals - decimals)


def group_digits(amount: str) -> str:
    """An amount with thousands separators and a true minus sign."""
    whole, point, fraction = amount.lstrip("-").partition(".")
    sign = _MINUS if amount.startswith("-") else ""
    return f"{sign}{int(whole):,}{point}{fraction}"


def millionths(amount: str) -> int:
    return parse_money(amount, signed=True, zero=True)


def long_date(day: date | str) -> str:
    if isinstance(day, str):
        day = date.fromisoformat(day)
    return format_date(day, "d MMMM yyyy", locale=ENGLISH)


def period_text(first: str, last: str) -> str:
    """Two days as a period; the parts that they share once."""
    first_day, last_day = date.fromisoformat(first), date.fromisoformat(last)
    if first == last:
        return long_date(first_day)
    if first_day.year < _FIRST_FOUR_DIGITS:  # format_interval would print fewer digits
        return f"{_short_date(first_day)} – {_short_date(last_day)}"
    return str(format_interval(first_day, last_day, "yMMMMd", locale=ENGLISH))


def short_date(moment: str, zone: ZoneInfo) -> str:
    """A date, or the local date of a moment, in short form."""
    if "T" not in moment:
        return _short_date(date.fromisoformat(moment))
    return _short_date(datetime.fromisoformat(moment).astimezone(zone).date())


@cache
def _short_date(day: date) -> str:
    return format_date(day, "d MMM yyyy", locale=ENGLISH)


def country_name(code: str | None) -> str:
    if not code:
        return ""
    return str(ENGLISH.territories.get(code, code))


def clean(text: str | None) -> str:
    """A customer's text as one line: no control characters, and long words can break.

    Text with right-to-left letters is isolated, so that it does not affect ours.
    """
    plain = _INVISIBLE.sub(" ", text or "")
    plain = _DIRECTION_MARKS.sub("", plain).strip()
    plain = _LONG_WORD.sub(lambda match: _BREAK_HERE.join(_parts(match[0])), plain)
    is_right_to_left = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in plain)
    return f"\u2068{plain}\u2069" if is_right_to_left else plain


def shorten(text: str) -> str:
    """A text short enough for the footer."""
    if len(text) > _FOOTER_LENGTH:
        text = f"{text[: _FOOTER_LENGTH - 1].rstrip()}…"
    return clean(text)


def _parts(word: str) -> Iterator[str]:
    """A word in parts of eight characters or slightly more; letters that belong together stay
    so."""
    start = 0
    for end in range(1, len(word)):
        if end - start >= _PART_LENGTH and _may_break(word[end - 1], word[end]):
            yield word[start:end]
            start = end
    yield word[start:]


def _may_break(left: str, right: str) -> bool:
    is_joined = unicodedata.combining(left) == 9 or unicodedata.category(right).startswith("M")
    return not is_joined and left not in _JOINS_NEXT and right not in _JOINS_PREVIOUS
