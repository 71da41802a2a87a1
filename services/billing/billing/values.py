"""Money and the chart of accounts.

Inside, every amount is a whole number of millionths (10⁻⁶) of the currency's unit; outside it is a
decimal string. Money is refused, never rounded, when it does not fit.
"""

import re
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import iso4217

UNIT = 1_000_000
MAX_AMOUNT = 10**18 - 1
MAX_STORED = 9 * 10**18
DEFAULT_DECIMALS, MAX_DECIMALS = 2, 6
AUTO_TOP_UP_PERCENT = 20
_SHAPE = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?")

PREPAID, POSTPAID = "prepaid", "postpaid"
OPEN, FROZEN, CLOSED, SEALED = "open", "frozen", "closed", "sealed"

CHARGE_KINDS = ("usage", "subscription", "one_off")
INDIVIDUALLY_INVOICED = ("subscription", "one_off")
SPENDING_KINDS = (*CHARGE_KINDS, "capture")
ADJUSTMENT_KINDS = ("write_off", "correction", "goodwill")
METHODS = ("cash", "cheque", "bank_transfer", "card", "issue")
CARD, ISSUE = "card", "issue"
INDIVIDUAL, USAGE, CONSOLIDATED, NONE = "individual", "usage", "consolidated", "none"
AWAITING, PAID, VOID = "awaiting_payment", "paid", "void"

# What a provider works by until it has chosen otherwise.
SETTINGS: dict[str, Any] = {
    "low_credit_threshold": "20.00",
    "invoicing": CONSOLIDATED,
    "payment_terms_days": 14,
    "tax_rates": [],
}


class InvalidMoney(ValueError):
    """The text is not an amount as the contract wants it."""


def parse_money(text: object, *, signed: bool = False, zero: bool = False) -> int:
    """The millionths in a decimal string. ``signed``: it may be negative; ``zero``: it may be
    nothing.

    At most twelve ASCII digits before the point and six after; no exponent, no plus, no spaces, no
    ``-0``. Raises InvalidMoney."""
    found = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidMoney(
            'Must be a decimal string like "12.50": at most 12 digits before the point, 6 after.'
        )
    sign, whole, part = found[1], found[2], found[3] or ""
    amount = int(whole) * UNIT + int(part.ljust(MAX_DECIMALS, "0"))
    if sign and (not signed or not amount):
        raise InvalidMoney("Must not be negative." if amount else "Zero has no sign.")
    if not amount and not zero:
        raise InvalidMoney("Must not be zero.")
    return -amount if sign else amount


def format_money(amount: int, currency: str) -> str:
    """The decimal string: the currency's own decimals at least, six at most."""
    whole, part = divmod(abs(amount), UNIT)
    least = places(currency)
    digits = f"{part:06d}".rstrip("0").ljust(least, "0")
    return f"{'-' if amount < 0 else ''}{whole}{'.' if digits else ''}{digits}"


def places(currency: str) -> int:
    """The decimals a currency has by ISO 4217, two where it does not say. At most six."""
    try:
        exponent = iso4217.Currency(currency).exponent
    except ValueError:
        return DEFAULT_DECIMALS
    return DEFAULT_DECIMALS if exponent is None else min(int(exponent), MAX_DECIMALS)


def is_currency(code: str) -> bool:
    """Whether ISO 4217 knows the code."""
    try:
        iso4217.Currency(code)
    except ValueError:
        return False
    return True


def percent(amount: int, share: int) -> int:
    """``share`` percent of an amount, rounded half-even to the millionth."""
    return divide(amount * share, 100)


def extract_tax(gross: int, rate: str) -> int:
    """The tax inside a gross amount at ``rate`` percent ("8.1"): gross * rate / (100 + rate),
    half-even."""
    whole, _, part = rate.partition(".")
    share = int(whole + part.ljust(4, "0"))
    return divide(gross * share, 100 * 10**4 + share)


def divide(amount: int, by: int) -> int:
    """The quotient, rounded half-even. ``by`` is above zero."""
    whole, rest = divmod(amount, by)
    return whole + (2 * rest > by or (2 * rest == by and whole % 2 == 1))


def local_day(moment: datetime, timezone: str) -> date:
    """The day it is at that moment in a time zone."""
    return moment.astimezone(ZoneInfo(timezone)).date()


def month_end(moment: datetime, timezone: str) -> datetime:
    """When the month that runs at that moment in a time zone is over: the next first day, 00:00
    there."""
    here = moment.astimezone(ZoneInfo(timezone))
    year, month = (here.year, here.month + 1) if here.month < 12 else (here.year + 1, 1)
    return datetime(year, month, 1, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def month_start(moment: datetime, timezone: str) -> datetime:
    """When the month that runs at that moment in a time zone began: its first day, 00:00 there."""
    return day_start(local_day(moment, timezone).replace(day=1), timezone)


def day_start(day: date, timezone: str) -> datetime:
    """When a day begins in a time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


class Code(IntEnum):
    """The chart of accounts. The first are a customer's buckets (``SET_ASIDE`` is the memo side of
    ``HELD``), the others the provider's: ``WALLET`` is the balance at the platform, the rest say
    where money came from or went."""

    PREPAID = 1
    SURPLUS = 2
    UNBILLED = 3
    INVOICED = 4
    HELD = 5
    SET_ASIDE = 6
    WALLET = 20
    OFFLINE = 21
    ISSUED = 22
    FUNDING = 23
    REVENUE = 30
    COST = 31
    BILLED_ELSEWHERE = 32
    WRITE_OFF = 40
    CORRECTION = 41
    GOODWILL = 42

    @property
    def label(self) -> str:
        """Its name in entries."""
        return self.name.lower()


class Transfer(NamedTuple):
    """An amount above zero from one account to another: both legs at once, so it can't be out of
    balance.

    ``invoice_id``: the invoice it issues, settles or credits; ``payment_id``: the payment it assigns or releases."""

    debit: Code
    credit: Code
    amount: int
    invoice_id: str | None = None
    payment_id: str | None = None
