"""Fields that several schemas of billing share."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text

from billing import values

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Money(ma.fields.Field[int]):
    """An amount as a decimal string, in millionths inside. ``signed``: below zero too; ``zero``:
    nothing too."""

    def __init__(self, *, signed: bool = False, zero: bool = False, **kwargs: Any) -> None:
        self.signed, self.zero = signed, zero
        sign = ("-?" if signed else "") + ("" if zero else r"(?!0+(\.0+)?$)")
        shape = {
            "type": "string",
            "pattern": f"^{sign}[0-9]{{1,12}}(\\.[0-9]{{1,6}})?$",
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
    """An instant, or a date for its beginning (``ends``: its end), UTC."""

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
        begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return begins + timedelta(days=1) if self.ends and day < date.max else begins


class Day(ma.fields.Date):
    """A date, written like 2026-01-31."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise ma.ValidationError("date: Must be a date like 2026-01-31.")
        return super()._deserialize(value, attr, data, **kwargs)


def amount_shown(**kwargs: Any) -> ma.fields.String:
    return ma.fields.String(metadata={"examples": ["100.00"]}, **kwargs)


class Paid(ma.Schema):
    amount = Money(required=True)
    method = ma.fields.String(required=True, validate=ma.validate.OneOf(values.METHODS))
    reference = Text(most=255)
