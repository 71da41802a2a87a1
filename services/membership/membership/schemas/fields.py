"""Fields and objects that several schemas share."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Email
from marshmallow import fields, validate


class Address(Email):
    """An email address as identities have it: in one case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return super()._deserialize(value, attr, data, **kwargs).lower()


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
