"""Taxes: which ones apply to a supply, and how much of gross amounts they are.

Amounts are in millionths.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from billing.values import divide


class Rate(NamedTuple):
    """A tax by name, in percent of the net amount, as decimal text."""

    name: str
    rate: str


Rates = tuple[Rate, ...]
NO_TAX: Rates = ()
# The first day that begins in every time zone.
FIRST_DAY = date(1, 1, 2)


class RatePeriod(NamedTuple):
    """The taxes that apply together from ``first_day`` until the next period."""

    first_day: date
    rates: Rates


class Tax(NamedTuple):
    """What a document contains of a tax. ``taxable``: the net amount that it is computed on."""

    name: str
    rate: str
    taxable: int
    tax: int


def rate_periods(tax_rates: Sequence[Mapping[str, str]], country: str) -> tuple[RatePeriod, ...]:
    """The taxes of a country by day; the first period has no beginning.

    ``tax_rates``: the provider's setting. By name the latest row applies; a rate of 0 ends a tax.
    """
    of_country = [row for row in tax_rates if row["country"] == country]
    periods = [RatePeriod(FIRST_DAY, NO_TAX)]
    valid: dict[str, str] = {}
    by_day = sorted(of_country, key=itemgetter("valid_from"))
    for day, rows in groupby(by_day, itemgetter("valid_from")):
        valid |= {row["name"]: row["rate"] for row in rows}
        rates = tuple(Rate(name, valid[name]) for name in sorted(valid) if _percent(valid[name]))
        if rates != periods[-1].rates:
            periods.append(RatePeriod(date.fromisoformat(day), rates))
    return tuple(periods)


def rates_on(periods: Sequence[RatePeriod], day: date) -> Rates:
    """The taxes of a supply on that day."""
    return periods[_place(periods, day)].rates


def periods_between(
    periods: Sequence[RatePeriod], first_day: date, last_day: date
) -> Sequence[RatePeriod]:
    """Those that apply on any of these days."""
    return periods[_place(periods, first_day) : _place(periods, last_day) + 1]


def _place(periods: Sequence[RatePeriod], day: date) -> int:
    return bisect_right(periods, day, key=attrgetter("first_day")) - 1


def break_down(gross: Mapping[Rates, int], unit: int) -> tuple[Tax, ...]:
    """The taxes in these gross amounts, by name and rate.

    Each tax is on the net: gross * rate / (100 + the sum of the rates that apply together). It is
    added up over the amounts and rounded once, half-even, to a multiple of ``unit``.
    """
    taxable: dict[Rate, Fraction] = defaultdict(Fraction)
    for rates, amount in gross.items():
        net = Fraction(100 * amount) / (100 + sum(_percent(rate) for _, rate in rates))
        for rate in rates:
            taxable[rate] += net
    return tuple(
        Tax(*rate, _rounded(net, unit), _rounded(net * _percent(rate.rate) / 100, unit))
        for rate, net in sorted(taxable.items())
    )


def share_of(taxes: Iterable[Tax], part: int, whole: int, unit: int) -> tuple[Tax, ...]:
    """The part of the taxes in a part of the amount that they are contained in, rounded half-even
    to a multiple of ``unit``; the whole for the whole."""

    def share(amount: int) -> int:
        return amount if part == whole else divide(amount * part, whole * unit) * unit

    return tuple(Tax(name, rate, share(taxable), share(tax)) for name, rate, taxable, tax in taxes)


def subtract(taxes: Iterable[Tax], others: Iterable[Tax]) -> tuple[Tax, ...]:
    """What is left of the taxes without the others."""
    left = {Rate(name, rate): (taxable, tax) for name, rate, taxable, tax in taxes}
    for name, rate, taxable, tax in others:
        before = left.get(Rate(name, rate), (0, 0))
        left[Rate(name, rate)] = before[0] - taxable, before[1] - tax
    return tuple(Tax(*rate, *amounts) for rate, amounts in left.items())


def at_most(taxes: Iterable[Tax], most: Iterable[Tax]) -> tuple[Tax, ...]:
    """The taxes, none of which is higher than the same one of ``most``."""
    limits = {Rate(name, rate): (taxable, tax) for name, rate, taxable, tax in most}
    limited = []
    for name, rate, taxable, tax in taxes:
        limit = limits.get(Rate(name, rate), (0, 0))
        limited.append(Tax(name, rate, min(taxable, max(limit[0], 0)), min(tax, max(limit[1], 0))))
    return tuple(limited)


def stored_taxes(taxes: Iterable[Tax]) -> list[dict[str, Any]]:
    """As a document keeps them."""
    return [tax._asdict() for tax in taxes]


def taxes_of(stored: Iterable[Mapping[str, Any]]) -> tuple[Tax, ...]:
    """From what a document keeps."""
    return tuple(Tax(**each) for each in stored)


@lru_cache
def _percent(rate: str) -> Fraction:
    return Fraction(rate)


def _rounded(amount: Fraction, unit: int) -> int:
    return round(amount / unit) * unit
