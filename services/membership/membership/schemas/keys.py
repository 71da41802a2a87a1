"""API keys."""

import marshmallow as ma
from chassis.http.fields import Stamp, Text
from chassis.http.paging import page_of
from marshmallow import fields, validate

WEEK = 7 * 24 * 60


class Maker(ma.Schema):
    """Who made it."""

    name = fields.String(required=True)


class Secrets(ma.Schema):
    """How many secrets of a key are good, and when the older one ends while two overlap."""

    live = fields.Integer(required=True)
    older_ends_at = Stamp(required=True, allow_none=True)


class ApiKey(ma.Schema):
    """A program's way in; never its secret."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = Stamp(required=True)
    created_by = fields.Nested(Maker, required=True)
    expires_at = Stamp(required=True, allow_none=True)
    last_used_at = Stamp(required=True, allow_none=True)
    secrets = fields.Nested(Secrets, required=True)


class ApiKeyWithSecret(ApiKey):
    """A key as answered when it gets a secret: it is shown this once."""

    api_key = fields.String(required=True)


ApiKeyPage = page_of(ApiKey)


class NewApiKey(ma.Schema):
    """A key to make."""

    name = Text(required=True, most=100)
    scopes = fields.List(Text(most=50), required=True, validate=validate.Length(1, 50))
    expires_at = Stamp(allow_none=True)


class Rotation(ma.Schema):
    """For how long the secret before stays good."""

    overlap_minutes = fields.Integer(strict=True, load_default=60, validate=validate.Range(0, WEEK))
