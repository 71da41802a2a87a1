"""Oneself."""

import marshmallow as ma
from chassis.http.fields import Stamp
from marshmallow import fields

from membership.schemas.fields import IdentityInfo, OrganizationInfo


class Me(ma.Schema):
    """Who is asking, where, as what, and for whom they act. ``one_time_codes``: whether they log in
    with them."""

    identity = fields.Nested(IdentityInfo, required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    member_id = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    session_id = fields.String(required=True)
    one_time_codes = fields.Boolean(required=True)
    act = fields.Dict(required=True, allow_none=True)


class MyOrganization(OrganizationInfo):
    """Somewhere the caller belongs; ``open``: whether they could switch to it now."""

    role = fields.String(required=True)
    open = fields.Boolean(required=True)


class Serviced(MyOrganization):
    """A customer that the caller may enter as support, and by which grant."""

    grant_id = fields.String(required=True)
    access = fields.String(required=True)
    expires_at = Stamp(required=True)


class MyOrganizations(ma.Schema):
    """Where the caller may switch to."""

    own = fields.List(fields.Nested(MyOrganization), required=True)
    serviced = fields.List(fields.Nested(Serviced), required=True)
