"""Invoices before they are stored: what they cover, their number, dates, tax and what is printed on
them. Nothing here reads or writes anything.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from chassis.runtime import ids

from billing.models.account import Account
from billing.models.provider import Provider
from billing.values import (
    AWAITING,
    INDIVIDUAL,
    USAGE,
    day_start,
    extract_tax,
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
    tax: int
    tax_name: str | None
    tax_rate: str | None
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


def draft_regular(customer: Customer, seller: Provider, covered: Range, now: datetime) -> Draft:
    """An invoice of a range that starts where the previous regular invoice ended."""
    kind = seller.setting("invoicing")
    return draft(customer, seller, covered, USAGE if kind == INDIVIDUAL else kind, now)


def draft(customer: Customer, seller: Provider, covered: Range, kind: str, now: datetime) -> Draft:
    """The next invoice of the customer."""
    today = local_day(now, customer.timezone)
    due_on = today + timedelta(days=seller.setting("payment_terms_days"))
    # The rate of the day of supply, not of the day of issue.
    tax_name, tax_rate = _tax_of(seller, customer.country, covered.last_day)
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
        total=covered.total,
        tax=extract_tax(covered.total, tax_rate) if tax_rate is not None else 0,
        tax_name=tax_name,
        tax_rate=tax_rate,
        paid=0,
        credited=0,
        about=_about(customer, seller, covered),
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


def _about(customer: Customer, seller: Provider, covered: Range) -> dict[str, Any]:
    """What is printed on the invoice and may change later."""
    return {
        "seller": {
            "name": seller.name or "",
            "country": seller.country or "",
            "billing": seller.billing or {},
        },
        "buyer": {
            "name": customer.name,
            "country": customer.country,
            "billing": customer.billing,
            "buyer_tags": customer.buyer_tags,
        },
        "period": {"from": covered.first_day.isoformat(), "to": covered.last_day.isoformat()},
        "timezone": customer.timezone,
    }


def _tax_of(seller: Provider, country: str, day: date) -> tuple[str | None, str | None]:
    """Name and rate of a country's tax on a day; None if there is none."""
    rates = [
        rate
        for rate in seller.setting("tax_rates")
        if rate["country"] == country and rate["valid_from"] <= day.isoformat()
    ]
    if not rates:
        return None, None
    latest = max(rates, key=lambda rate: str(rate["valid_from"]))
    return latest["name"], latest["rate"]
