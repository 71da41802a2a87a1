"""The internal API, for the other services."""

import marshmallow as ma
from marshmallow import fields, validate


class RevocationEntry(ma.Schema):
    """Tokens of this session, identity or member that were issued before this instant are
    refused."""

    seq = fields.Integer(required=True)
    kind = fields.String(required=True)
    key = fields.String(required=True)
    before = fields.Float(required=True)


class RevocationFeed(ma.Schema):
    """The revocations since a position, and the last position."""

    entries = fields.List(fields.Nested(RevocationEntry), required=True)
    last = fields.Integer(required=True)


class FeedQuery(ma.Schema):
    """The position to continue from."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, 2**62))
