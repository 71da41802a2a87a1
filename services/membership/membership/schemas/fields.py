"""What several of these have."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Text
from marshmallow import fields, validate

from membership.values import addresses


class Address(Text):
    """An e-mail address, in its one spelling."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=addresses.LONGEST, metadata={"format": "email"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return addresses.parse(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as problem:
            if isinstance(problem, ma.ValidationError):
                raise
            raise ma.ValidationError("email: Must be an e-mail address.") from problem


def secret(**kwargs: Any) -> fields.String:
    """Text taken as it comes: a password may hold anything."""
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
    """An organization, in short."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)


class LinkedOrganization(ma.Schema):
    """The organization a link is about."""

    id = fields.String(required=True)
    name = fields.String(required=True)
