"""API keys."""

import marshmallow as ma
from chassis.http.fields import Name, Stamp, Text
from chassis.http.paging import page_of
from marshmallow import fields, validate

MINUTES_PER_WEEK = 7 * 24 * 60


class Maker(ma.Schema):
    """The person who created it."""

    name = fields.String(required=True)


class Secrets(ma.Schema):
    """The number of valid secrets, and when the older one expires while two overlap."""

    live = fields.Integer(required=True)
    older_ends_at = Stamp(required=True, allow_none=True)


class ApiKey(ma.Schema):
    """An API key, without its secret."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = Stamp(required=True)
    created_by = fields.Nested(Maker, required=True)
    expires_at = Stamp(required=True, allow_none=True)
    last_used_at = Stamp(required=True, allow_none=True)
    status = fields.String(
        required=True, validate=validate.OneOf(["active", "suspended", "expired"])
    )
    suspended_because = fields.String(required=True, allow_none=True)
    secrets = fields.Nested(Secrets, required=True)


class ApiKeyWithSecret(ApiKey):
    """An API key with its new secret, which is shown only this once."""

    api_key = fields.String(required=True)


class AdoptedApiKey(ApiKey):
    """An API key with a new maker. The former one may still know its secret."""

    rotate_recommended = fields.Boolean(required=True)


ApiKeyPage = page_of(ApiKey)


class NewApiKey(ma.Schema):
    """An API key to create."""

    name = Name(required=True, most=100)
    scopes = fields.List(Text(most=50), required=True, validate=validate.Length(1, 50))
    expires_at = Stamp(allow_none=True)


class Rotation(ma.Schema):
    """How long the previous secret stays valid."""

    overlap_minutes = fields.Integer(
        strict=True, load_default=60, validate=validate.Range(0, MINUTES_PER_WEEK)
    )
