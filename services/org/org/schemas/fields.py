"""Field types of org's requests."""

from typing import Any

import marshmallow as ma
from chassis.http import fields
from contracts.countries import COUNTRIES

from org import values

_LONG_LIST = 10


class Name(fields.Name):
    """An organization's name: letters and digits of any script and the listed signs."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not values.is_name(text):
            raise ma.ValidationError(
                "characters: Use letters, digits, spaces and ~`#+$@&()[]<>\\/-_='\".:!?;^%*{} only."
            )
        return text


class OneOf(ma.validate.OneOf):
    """A choice; ``error`` describes the choices where they are too many to list."""

    def _format_error(self, value: Any) -> str:
        choices = [str(choice) for choice in self.choices]
        if len(choices) < _LONG_LIST:
            return f"not_one_of: Must be one of {', '.join(choices)}."
        return f"not_one_of: Must be {self.error}."


def country(**options: Any) -> ma.fields.String:
    """An ISO 3166 country code."""
    choice = OneOf(sorted(COUNTRIES), error="an ISO 3166 country code")
    return ma.fields.String(validate=choice, **options)


def currency(**options: Any) -> ma.fields.String:
    """An ISO 4217 currency code."""
    choice = OneOf(sorted(values.currencies()), error="an ISO 4217 currency code")
    return ma.fields.String(validate=choice, **options)


def timezone(**options: Any) -> ma.fields.String:
    """A name of the tz database."""
    choice = OneOf(sorted(values.timezones()), error="a time zone like Europe/Berlin")
    return ma.fields.String(validate=choice, **options)


def choice(*choices: str, **options: Any) -> ma.fields.String:
    """One of a few words."""
    return ma.fields.String(validate=OneOf(choices), **options)


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
