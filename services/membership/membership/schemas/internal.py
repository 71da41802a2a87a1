"""For the other services only."""

import marshmallow as ma
from marshmallow import fields, validate


class RevocationEntry(ma.Schema):
    """Tokens of this session, identity or member issued before that instant are refused."""

    seq = fields.Integer(required=True)
    kind = fields.String(required=True)
    key = fields.String(required=True)
    before = fields.Float(required=True)


class RevocationFeed(ma.Schema):
    """What was revoked since."""

    entries = fields.List(fields.Nested(RevocationEntry), required=True)
    last = fields.Integer(required=True)


class FeedQuery(ma.Schema):
    """Where to go on."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, 2**62))
