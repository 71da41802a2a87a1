"""Logging in and out."""

import marshmallow as ma
from chassis.fields import Stamp, Text, TypeId
from chassis.paging import page_of
from marshmallow import fields, validate

from membership.schemas.pieces import IdentityInfo, OrganizationInfo, secret


class NewSession(ma.Schema):
    """Who wants to log in, and where."""

    email = Text(required=True, most=1024)
    password = secret(required=True)
    otp = fields.String(validate=validate.Length(1, 64))
    organization_id = TypeId("org")


class RefreshBody(ma.Schema):
    """The refresh token of a session."""

    refresh_token = fields.String(required=True, validate=validate.Length(1, 1024))


class ExchangeBody(ma.Schema):
    """The organization to enter."""

    organization_id = TypeId("org", required=True)


class SessionTokens(ma.Schema):
    """A session that has begun or goes on."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String(required=True)
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
