"""Login sessions."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text, TypeId
from chassis.http.paging import page_of
from marshmallow import fields, validate

from membership.schemas.fields import IdentityInfo, OrganizationInfo, secret


class NewSession(ma.Schema):
    """The credentials of a person, or an API key."""

    email = Text(most=1024)
    password = secret()
    otp = fields.String(validate=validate.Length(1, 64))
    organization_id = TypeId("org")
    api_key = secret()

    @ma.validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """Either an address and a password, or an API key and nothing else."""
        problems: dict[str, list[str]] = {}
        if "api_key" in data:
            for name in data.keys() - {"api_key"}:
                problems[name] = ["api_key: An API key cannot be combined with other fields."]
        else:
            for name in ("email", "password"):
                if name not in data:
                    problems[name] = ["required: Enter an email address and a password."]
        if problems:
            raise ma.ValidationError(problems)


class RefreshBody(ma.Schema):
    """The refresh token of a session."""

    refresh_token = fields.String(required=True, validate=validate.Length(1, 1024))


class ExchangeBody(ma.Schema):
    """The organization to switch to."""

    organization_id = TypeId("org", required=True)


class SessionTokens(ma.Schema):
    """The tokens of a session; without a refresh token where it cannot be refreshed."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String()
    identity = fields.Nested(IdentityInfo, required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)


class SessionInfo(ma.Schema):
    """One of the caller's own sessions."""

    id = fields.String(required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    user_agent = fields.String(allow_none=True, required=True)
    client_address = fields.String(allow_none=True, required=True)
    current = fields.Boolean(required=True)
    created_at = Stamp(required=True)
    last_used_at = Stamp(required=True)
    expires_at = Stamp(required=True)


SessionPage = page_of(SessionInfo)
