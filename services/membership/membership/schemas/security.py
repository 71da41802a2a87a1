"""One-time codes, re-authentication and passwords."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Name, Stamp
from chassis.http.paging import page_of
from marshmallow import fields, validate

from membership.schemas.fields import secret


def otp(**kwargs: Any) -> fields.String:
    """A one-time code, or a recovery code instead."""
    return fields.String(validate=validate.Length(1, 64), **kwargs)


class Enrolment(ma.Schema):
    """The secret for an authenticator app, and the same as a URI for a QR code."""

    secret = fields.String(required=True)
    uri = fields.String(required=True)


class NewAuthenticator(ma.Schema):
    """An authenticator to add. ``name``: tells it from the caller's other ones."""

    name = Name(most=100)


class Authenticator(ma.Schema):
    """What makes one-time codes of the caller. ``kind``: ``totp``, an authenticator app."""

    id = fields.String(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    created_at = Stamp(required=True)
    last_used_at = Stamp(required=True, allow_none=True)


AuthenticatorPage = page_of(Authenticator)


class OtpBody(ma.Schema):
    """A one-time code."""

    otp = otp(required=True)


class RecoveryCodes(ma.Schema):
    """Recovery codes. Each replaces a one-time code once. Empty if a further authenticator was
    added: the existing recovery codes stay valid."""

    recovery_codes = fields.List(fields.String(), required=True)


class ProofBody(ma.Schema):
    """The password, and the one-time code where they are on."""

    password = secret(required=True)
    otp = otp()


class FreshProof(ma.Schema):
    """An access token, and until when the re-authentication counts."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    proved_until = Stamp(required=True)


class NewPassword(ProofBody):
    """The current and the new password."""

    new_password = secret(required=True)


class PasswordChanged(ma.Schema):
    """The password has been changed, and every other session has ended."""

    changed = fields.Boolean(required=True)
