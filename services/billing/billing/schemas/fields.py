"""Fields shared by billing's schemas."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text

from billing import values

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Money(ma.fields.Field[int]):
    """An amount: a decimal string outside, millionths inside.

    ``signed`` allows negative amounts, ``zero`` allows zero.
    """

    def __init__(self, *, signed: bool = False, zero: bool = False, **kwargs: Any) -> None:
        self.signed, self.zero = signed, zero
        minus = "-?" if signed else ""
        not_zero = "" if zero else r"(?!0+(\.0+)?$)"
        shape = {
            "type": "string",
            "pattern": f"^{minus}{not_zero}[0-9]{{1,12}}(\\.[0-9]{{1,6}})?$",
            "examples": ["12.50"],
        }
        kwargs["metadata"] = {**shape, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return values.parse_money(value, signed=self.signed, zero=self.zero)
        except values.InvalidMoney as problem:
            raise ma.ValidationError(f"money: {problem}") from problem


class Moment(ma.fields.String):
    """A moment, or a date that stands for its start (``ends``: its end) in UTC."""

    def __init__(self, *, ends: bool = False, **kwargs: Any) -> None:
        self.ends = ends
        kwargs["metadata"] = {
            "anyOf": [{"format": "date"}, {"format": "date-time"}],
            **kwargs.get("metadata", {}),
        }
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            day = date.fromisoformat(value if len(value) == 10 else "")
        except ValueError:
            return Stamp().deserialize(value, attr, data, **kwargs)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if self.ends and day < date.max:
            moment += timedelta(days=1)
        return moment


class Day(ma.fields.Date):
    """A date such as 2026-01-31."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise ma.ValidationError("date: Must be a date such as 2026-01-31.")
        return super()._deserialize(value, attr, data, **kwargs)


def amount_shown(**kwargs: Any) -> ma.fields.String:
    return ma.fields.String(metadata={"examples": ["100.00"]}, **kwargs)


class Paid(ma.Schema):
    """An amount with its payment method."""

    amount = Money(required=True)
    method = ma.fields.String(required=True, validate=ma.validate.OneOf(values.METHODS))
    reference = Text(most=255)
