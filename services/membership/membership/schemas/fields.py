"""Fields and objects that several schemas share."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Text
from marshmallow import fields, validate

from membership.values import addresses


class Address(Text):
    """An email address, normalized."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=addresses.MAX_LENGTH, metadata={"format": "email"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return addresses.parse(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as problem:
            if isinstance(problem, ma.ValidationError):
                raise
            raise ma.ValidationError(
                "email: Enter an email address such as name@example.com."
            ) from problem


def secret(**kwargs: Any) -> fields.String:
    """A secret, taken as it is: a password may contain anything."""
    return fields.String(
        validate=validate.Length(1, 1024), metadata={"format": "password"}, **kwargs
    )


class IdentityInfo(ma.Schema):
    """A person."""

    id = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    given_name = fields.String(required=True)
    family_name = fields.String(required=True)


class OrganizationInfo(ma.Schema):
    """An organization in brief."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)


class LinkedOrganization(ma.Schema):
    """The organization that a link is for."""

    id = fields.String(required=True)
    name = fields.String(required=True)
