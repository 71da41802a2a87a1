"""Logging in and out."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text, TypeId
from chassis.http.paging import page_of
from marshmallow import fields, validate

from membership.schemas.fields import IdentityInfo, OrganizationInfo, secret


class NewSession(ma.Schema):
    """Who wants to log in, and where; or the API key of a program."""

    email = Text(most=1024)
    password = secret()
    otp = fields.String(validate=validate.Length(1, 64))
    organization_id = TypeId("org")
    api_key = secret()

    @ma.validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """A person's address and password, or an API key and nothing else."""
        if "api_key" in data:
            problems = {
                name: ["api_key: An API key comes alone."] for name in data if name != "api_key"
            }
        else:
            wanted = [name for name in ("email", "password") if name not in data]
            problems = {
                name: ["required: Give an e-mail address and a password."] for name in wanted
            }
        if problems:
            raise ma.ValidationError(problems)


class RefreshBody(ma.Schema):
    """The refresh token of a session."""

    refresh_token = fields.String(required=True, validate=validate.Length(1, 1024))


class ExchangeBody(ma.Schema):
    """The organization to enter."""

    organization_id = TypeId("org", required=True)


class SessionTokens(ma.Schema):
    """A session that has begun or goes on; without a refresh token where it can't."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String()
    identity = fields.Nested(IdentityInfo, required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)


class SessionInfo(ma.Schema):
    """One of somebody's own sessions."""

    id = fields.String(required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    user_agent = fields.String(allow_none=True, required=True)
    current = fields.Boolean(required=True)
    created_at = Stamp(required=True)
    last_used_at = Stamp(required=True)
    expires_at = Stamp(required=True)


SessionPage = page_of(SessionInfo)
