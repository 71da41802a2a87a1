"""Money and the chart of accounts.

Internally every amount is a whole number of millionths (10⁻⁶) of the currency unit; on the wire it
is a decimal string. An amount that does not fit is refused, never rounded.
"""

import re
from datetime import UTC, date, datetime
from enum import IntEnum
from functools import lru_cache
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
# Everything else that changes what a customer owes is no supply and bears no tax.
SUPPLY_KINDS = (*SPENDING_KINDS, "refund")
METHODS = ("cash", "cheque", "bank_transfer", "card", "issue")
CARD, ISSUE = "card", "issue"
INDIVIDUAL, USAGE, CONSOLIDATED, NONE = "individual", "usage", "consolidated", "none"
AWAITING, PAID, VOID = "awaiting_payment", "paid", "void"

# Used until the provider chooses its own.
DEFAULT_SETTINGS: dict[str, Any] = {
    "low_credit_threshold": "20.00",
    "invoicing": CONSOLIDATED,
    "payment_terms_days": 14,
    "tax_rates": [],
    "allow_refund": True,
    "document_rounding": "currency",
    "company": {},
}


class InvalidMoney(ValueError):
    """The text is not a valid amount."""


def parse_money(text: object, *, signed: bool = False, zero: bool = False) -> int:
    """The amount in a decimal string, in millionths.

    ``signed`` allows negative amounts, ``zero`` allows zero. At most twelve ASCII digits before the
    decimal point and six after it; no exponent, plus sign, spaces or ``-0``. Raises InvalidMoney.
    """
    match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidMoney(
            'Must be a decimal string such as "12.50", with at most 12 digits before the decimal '
            "point and 6 after it."
        )
    sign, whole, fraction = match[1], match[2], match[3] or ""
    amount = int(whole) * UNIT + int(fraction.ljust(MAX_DECIMALS, "0"))
    if sign and not amount:
        raise InvalidMoney("Zero must not have a sign.")
    if sign and not signed:
        raise InvalidMoney("Must not be negative.")
    if not amount and not zero:
        raise InvalidMoney("Must not be zero.")
    return -amount if sign else amount


def format_money(amount: int, currency: str) -> str:
    """The decimal string, with at least the currency's own decimals and at most six."""
    whole, fraction = divmod(abs(amount), UNIT)
    digits = f"{fraction:06d}".rstrip("0").ljust(decimals(currency), "0")
    sign = "-" if amount < 0 else ""
    point = "." if digits else ""
    return f"{sign}{whole}{point}{digits}"


@lru_cache
def decimals(currency: str) -> int:
    """The decimals of a currency by ISO 4217; two if it is unknown, never more than six."""
    try:
        exponent = iso4217.Currency(currency).exponent
    except ValueError:
        return DEFAULT_DECIMALS
    if exponent is None:
        return DEFAULT_DECIMALS
    return min(int(exponent), MAX_DECIMALS)


def is_currency(code: str) -> bool:
    """Whether the code is in ISO 4217."""
    try:
        iso4217.Currency(code)
    except ValueError:
        return False
    return True


def percent(amount: int, share: int) -> int:
    """``share`` percent of an amount, rounded half-even to the millionth."""
    return divide(amount * share, 100)


def divide(amount: int, by: int) -> int:
    """The quotient, rounded half-even. ``by`` is above zero."""
    quotient, remainder = divmod(amount, by)
    is_half = 2 * remainder == by
    round_up = 2 * remainder > by or (is_half and quotient % 2 == 1)
    return quotient + round_up


def minor_unit(currency: str) -> int:
    """The smallest amount that can be paid in a currency."""
    return int(UNIT // 10 ** decimals(currency))


def document_unit(rounding: str, currency: str) -> int:
    """What totals and taxes of documents are multiples of. ``rounding``: the provider's setting
    ``document_rounding``."""
    return minor_unit(currency) if rounding == "currency" else 1


def local_day(moment: datetime, timezone: str) -> date:
    """The date at that moment in a time zone."""
    return moment.astimezone(ZoneInfo(timezone)).date()


@lru_cache
def month_end(moment: datetime, timezone: str) -> datetime:
    """The end of the current month in a time zone: 00:00 on the first day of the next one."""
    local = moment.astimezone(ZoneInfo(timezone))
    year, month = local.year, local.month + 1
    if month > 12:
        year, month = year + 1, 1
    return datetime(year, month, 1, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


@lru_cache
def month_start(moment: datetime, timezone: str) -> datetime:
    """The start of the current month in a time zone: 00:00 on its first day."""
    return day_start(local_day(moment, timezone).replace(day=1), timezone)


@lru_cache
def day_start(day: date, timezone: str) -> datetime:
    """The moment at which a day begins in a time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


class Code(IntEnum):
    """The chart of accounts.

    The codes below 20 are a customer's buckets; ``SET_ASIDE`` is the contra account of ``HELD``.
    The others are the provider's: ``WALLET`` is its balance at the platform, the rest name where
    money came from or went to.
    """

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
    ROUNDING = 43

    @property
    def label(self) -> str:
        """Its name in entries."""
        return self.name.lower()


# As the source of a transfer, the transaction that it is part of, which has no id yet.
OWN = "own"


class Transfer(NamedTuple):
    """A positive amount moved from one account to another.

    It holds both legs, so it is always balanced. ``invoice_id``: the invoice that it issues,
    settles or credits. ``source_id``: the transaction whose surplus it takes or gives back; OWN for
    its own.
    """

    debit: Code
    credit: Code
    amount: int
    invoice_id: str | None = None
    source_id: str | None = None
