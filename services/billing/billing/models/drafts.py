"""Invoices before they are stored: what they cover, their number, dates, tax and what is printed on
them. Nothing here reads or writes anything.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from chassis.runtime import ids

from billing.models.account import Account
from billing.models.provider import Provider
from billing.models.taxes import (
    FIRST_DAY,
    NO_TAX,
    RatePeriod,
    Rates,
    break_down,
    periods_between,
    rate_periods,
    rates_on,
    stored_taxes,
)
from billing.values import (
    AWAITING,
    INDIVIDUAL,
    USAGE,
    day_start,
    divide,
    document_unit,
    local_day,
    month_start,
)

_PREFIX_LENGTH = 10


class Customer(NamedTuple):
    """What invoices need of an account; the columns are those of ``Account``."""

    organization_id: str
    provider_id: str
    name: str
    country: str
    currency: str
    timezone: str
    billing: dict[str, Any]
    buyer_tags: dict[str, Any]
    opened_at: datetime
    month_ends_at: datetime | None
    invoices: int
    invoiced_seq: int

    @classmethod
    def of(cls, account: Account) -> "Customer":
        return cls(*attrgetter(*cls._fields)(account))


class MonthEnd(NamedTuple):
    """The last row of a month in a journal, and the unbilled amount after it."""

    seq: int
    unbilled: int


class Period(NamedTuple):
    """The last day that an invoice covers, as it is stored, and the day on which it was issued."""

    last_day: str
    issued_on: date


class Range(NamedTuple):
    """What an invoice covers: rows of the journal, their total, and the period in days."""

    from_seq: int
    to_seq: int
    total: int
    first_day: date
    last_day: date


class TaxTerms(NamedTuple):
    """The taxes on a customer's supplies. ``note``: why there are none, which is printed: ``kind``
    is exempt or reverse_charge. ``timezone``: of the days of supply."""

    periods: tuple[RatePeriod, ...]
    timezone: str
    note: dict[str, Any] | None


class Supplies(NamedTuple):
    """What the lines of an invoice add up to. ``gross``: of those that are supplies, by the taxes
    on them. ``days``: the first and the last day of supply, among others."""

    total: int
    gross: Mapping[Rates, int]
    days: Sequence[date]


class Draft(NamedTuple):
    """An invoice as it is issued; the columns are those of ``Invoice``."""

    organization_id: str
    id: str
    provider_id: str
    number: str
    kind: str
    status: str
    currency: str
    from_seq: int
    to_seq: int
    total: int
    rounding: int
    tax: int
    taxes: list[dict[str, Any]]
    paid: int
    credited: int
    about: dict[str, Any]
    issued_on: date
    due_on: date
    due_until: datetime
    issued_at: datetime

    @property
    def open(self) -> int:
        """The balance due."""
        return self.total

    @property
    def is_regular(self) -> bool:
        """Whether it covers all rows of its range that have no individual invoice."""
        return self.kind != INDIVIDUAL

    def row(self) -> Sequence[Any]:
        """The columns with ids as they are stored."""
        return (
            ids.to_uuid("org", self.organization_id),
            ids.to_uuid("inv", self.id),
            ids.to_uuid("org", self.provider_id),
            *self[3:],
        )


def unbilled_range(
    customer: Customer, seq: int, unbilled: int, previous: Period | None, now: datetime
) -> Range:
    """Everything that is unbilled. ``previous``: the period of the last regular invoice."""
    first_day, today = _first_day(customer, previous, now), local_day(now, customer.timezone)
    return Range(customer.invoiced_seq + 1, seq, unbilled, first_day, today)


def month_range(
    customer: Customer,
    seq: int,
    unbilled: int,
    end: MonthEnd,
    previous: Period | None,
    now: datetime,
) -> Range:
    """What is unbilled from months that have ended.

    What came later is left for the next invoice, unless so much of it was credited that the
    unbilled amount would not cover the invoice: then the invoice covers everything.
    """
    if unbilled < end.unbilled:
        return unbilled_range(customer, seq, unbilled, previous, now)
    first_day = _first_day(customer, previous, now)
    month = local_day(month_start(now, customer.timezone), customer.timezone)
    last_day = month - timedelta(days=1)
    return Range(customer.invoiced_seq + 1, end.seq, end.unbilled, first_day, last_day)


def tax_terms(customer: Customer, seller: Provider) -> TaxTerms:
    """The taxes on what the seller supplies to the customer."""
    exempt = customer.billing.get("tax_exempt")
    if exempt:
        note = {"kind": "exempt", "reason": exempt["reason"]}
    elif customer.billing.get("reverse_charge"):
        note = {"kind": "reverse_charge", "reason": None}
    else:
        periods = rate_periods(seller.setting("tax_rates"), customer.country)
        return TaxTerms(periods, customer.timezone, None)
    return TaxTerms((RatePeriod(FIRST_DAY, NO_TAX),), customer.timezone, note)


def one_supply(terms: TaxTerms, amount: int, day: date) -> Supplies:
    """A single supply on that day."""
    return Supplies(amount, {rates_on(terms.periods, day): amount}, (day,))


def regular_kind(seller: Provider) -> str:
    """The kind of an invoice of a range that starts where the previous regular one ended."""
    kind: str = seller.setting("invoicing")
    return USAGE if kind == INDIVIDUAL else kind


def draft(
    customer: Customer,
    seller: Provider,
    covered: Range,
    supplies: Supplies,
    kind: str,
    now: datetime,
) -> Draft | None:
    """The next invoice of the customer; None if its total is rounded to zero. ``supplies``: the
    lines in the range. Raises ValueError if they do not add up to its total."""
    if supplies.total != covered.total:
        raise ValueError(f"the lines add up to {supplies.total}, not to {covered.total}")
    terms, rounding = tax_terms(customer, seller), seller.setting("document_rounding")
    unit = document_unit(rounding, customer.currency)
    total = divide(covered.total, unit) * unit
    if total <= 0:
        return None
    today = local_day(now, customer.timezone)
    due_on = today + timedelta(days=seller.setting("payment_terms_days"))
    taxes = break_down(supplies.gross, unit)
    return Draft(
        organization_id=customer.organization_id,
        id=ids.new("inv"),
        provider_id=customer.provider_id,
        number=f"{number_prefix(customer.organization_id)}-{customer.invoices + 1:04d}",
        kind=kind,
        status=AWAITING,
        currency=customer.currency,
        from_seq=covered.from_seq,
        to_seq=covered.to_seq,
        total=total,
        rounding=total - covered.total,
        tax=sum(tax.tax for tax in taxes),
        taxes=stored_taxes(taxes),
        paid=0,
        credited=0,
        about=_about(customer, seller, covered, supplies, terms),
        issued_on=today,
        due_on=due_on,
        due_until=day_start(due_on + timedelta(days=1), customer.timezone),
        issued_at=now,
    )


def number_prefix(organization_id: str) -> str:
    """Numbers are per customer, so that no two customers wait for each other's next number."""
    return organization_id[-_PREFIX_LENGTH:].upper()


def _first_day(customer: Customer, previous: Period | None, now: datetime) -> date:
    """The first day of the next regular invoice's period, within the month that is to be invoiced.

    It is the day after the previous period, or its last day itself if the invoice was issued on
    that day, because more may have followed; without one, the day of opening.
    """
    zone = customer.timezone
    month_ends_at = customer.month_ends_at or now
    within_month = min(now, month_ends_at - timedelta(microseconds=1))
    month = local_day(month_start(within_month, zone), zone)
    earliest = local_day(customer.opened_at, zone)
    if previous is not None:
        last_day = date.fromisoformat(previous.last_day)
        follows = last_day if last_day == previous.issued_on else last_day + timedelta(days=1)
        earliest = max(earliest, follows)
    return max(month, earliest)


def seller_shown(seller: Provider) -> dict[str, Any]:
    """The seller as a document of today shows it, without its logo, which is too large to be kept
    with each."""
    company = {name: value for name, value in seller.setting("company").items() if name != "logo"}
    return {
        "name": seller.name or "",
        "country": seller.country or "",
        "billing": seller.billing or {},
        "company": company,
    }


def buyer_shown(customer: Any) -> dict[str, Any]:
    """The buyer as a document of today shows it, from the account or a Customer."""
    return {
        "name": customer.name,
        "country": customer.country,
        "billing": customer.billing,
        "buyer_tags": customer.buyer_tags,
    }


def _about(
    customer: Customer, seller: Provider, covered: Range, supplies: Supplies, terms: TaxTerms
) -> dict[str, Any]:
    """What is printed on the invoice, or decides what is printed, and may change later."""
    days = supplies.days or (covered.first_day, covered.last_day)
    periods = periods_between(terms.periods, min(days), max(days))
    return {
        "seller": seller_shown(seller),
        "buyer": buyer_shown(customer),
        "period": {"from": covered.first_day.isoformat(), "to": covered.last_day.isoformat()},
        "supply": {"from": min(days).isoformat(), "to": max(days).isoformat()},
        "timezone": customer.timezone,
        "rounding": seller.setting("document_rounding"),
        "tax_note": terms.note,
        "tax_periods": [[str(period.first_day), period.rates] for period in periods],
    }
