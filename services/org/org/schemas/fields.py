"""Field types of org's requests."""

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from chassis.http import fields
from contracts.countries import COUNTRIES

from org import values


class Name(fields.Name):
    """An organization's name: letters and digits of any script and the listed signs."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not values.is_name(text):
            raise ma.ValidationError(
                "characters: Use letters, digits, spaces and ~`#+$@&()[]<>\\/-_='\".:!?;^%*{} only."
            )
        return text


def _one_of(choices: Sequence[str], error: str = "one of {choices}.") -> ma.validate.OneOf:
    return ma.validate.OneOf(choices, error=f"not_one_of: Must be {error}")


def country(**options: Any) -> ma.fields.String:
    """An ISO 3166 country code."""
    choice = _one_of(sorted(COUNTRIES), "an ISO 3166 country code.")
    return ma.fields.String(validate=choice, **options)


def currency(**options: Any) -> ma.fields.String:
    """An ISO 4217 currency code."""
    choice = _one_of(sorted(values.currencies()), "an ISO 4217 currency code.")
    return ma.fields.String(validate=choice, **options)


def timezone(**options: Any) -> ma.fields.String:
    """A name of the tz database."""
    choice = _one_of(sorted(values.timezones()), "a time zone like Europe/Berlin.")
    return ma.fields.String(validate=choice, **options)


def choice(*choices: str, **options: Any) -> ma.fields.String:
    """One of a few words."""
    return ma.fields.String(validate=_one_of(choices), **options)


def amount(**options: Any) -> ma.fields.String:
    """An unsigned amount as a decimal string."""
    pattern = {"pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?$"}
    return ma.fields.String(validate=_check_amount, metadata=pattern, **options)


def _check_amount(text: str) -> None:
    if not values.is_amount(text):
        raise ma.ValidationError(
            "money: Must be a decimal number as a string: "
            "at most 12 digits before and 6 after the point."
        )
