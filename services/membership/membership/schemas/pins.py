"""PINs of people without a login."""

import marshmallow as ma
from chassis.http.fields import Text, TypeId
from marshmallow import fields

from membership.schemas.fields import secret


class PinToCheck(ma.Schema):
    """A PIN, and the extension it is for."""

    organization_id = TypeId("org", required=True)
    extension = Text(required=True, most=32)
    pin = secret(required=True)


class PinChecked(ma.Schema):
    """Whether the PIN is right."""

    valid = fields.Boolean(required=True)
