"""Links in emails."""

import marshmallow as ma
from chassis.http.fields import Name, Stamp, Text
from marshmallow import fields

from membership.schemas.fields import LinkedOrganization, secret


class LinkInfo(ma.Schema):
    """What a link does. Reading it does not use it."""

    email = fields.String(required=True)
    organization = fields.Nested(LinkedOrganization, required=True, allow_none=True)
    purpose = fields.String(required=True)
    password_required = fields.Boolean(required=True)
    expires_at = Stamp(required=True)


class VerificationBody(ma.Schema):
    """The password to set, only for a person who has none, and their name; without one they keep
    the name in their first invitation."""

    password = secret()
    given_name = Name(domains=False)
    family_name = Name(domains=False)


class Verified(ma.Schema):
    """The address is verified. ``organization`` and ``member_id`` are null where a person has
    changed their own address everywhere."""

    verified = fields.Boolean(required=True)
    email = fields.String(required=True)
    organization = fields.Nested(LinkedOrganization, required=True, allow_none=True)
    member_id = fields.String(required=True, allow_none=True)


class ResetRequest(ma.Schema):
    """The address of a person who has lost their password."""

    email = Text(required=True, most=1024)


class ResetBody(ma.Schema):
    """The new password."""

    password = secret(required=True)


class CodesResetBody(ma.Schema):
    """The person's password."""

    password = secret(required=True)


class CodesReset(ma.Schema):
    """One-time codes are off, and every session has ended."""

    reset = fields.Boolean(required=True)
    email = fields.String(required=True)


class Accepted(ma.Schema):
    """The same response for every request."""

    accepted = fields.Boolean(required=True)


class ResetDone(ma.Schema):
    """The password has been set, and every session has ended."""

    reset = fields.Boolean(required=True)
    email = fields.String(required=True)
