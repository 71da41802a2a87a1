"""Proving who one is."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp
from marshmallow import fields, validate

from membership.schemas.fields import secret


def otp(**kwargs: Any) -> fields.String:
    """A one-time code, or a recovery code in its place."""
    return fields.String(validate=validate.Length(1, 64), **kwargs)


class Enrolment(ma.Schema):
    """The secret for an authenticator app, and the same as it reads it from a QR code."""

    secret = fields.String(required=True)
    uri = fields.String(required=True)


class OtpBody(ma.Schema):
    """A one-time code."""

    otp = otp(required=True)


class RecoveryCodes(ma.Schema):
    """Each stands for a one-time code once."""

    recovery_codes = fields.List(fields.String(), required=True)


class ProofBody(ma.Schema):
    """What somebody proves by that it is them."""

    password = secret(required=True)
    otp = otp()


class FreshProof(ma.Schema):
    """An access token that says when its holder was proved, and until when that counts as fresh."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    proved_until = Stamp(required=True)


class NewPassword(ProofBody):
    """The password so far and the one to come."""

    new_password = secret(required=True)


class PasswordChanged(ma.Schema):
    """The new password holds, and every other session has ended."""

    changed = fields.Boolean(required=True)
