"""The caller."""

import marshmallow as ma
from chassis.http.fields import Name, Stamp
from marshmallow import fields

from membership.schemas.fields import Address, IdentityInfo, OrganizationInfo, secret
from membership.schemas.security import otp


class MyIdentity(IdentityInfo):
    """The caller. ``pending_email``: their new address, until it is proved."""

    pending_email = fields.String(required=True, allow_none=True)


class Me(ma.Schema):
    """The caller's identity, organization, role and, for staff, whom they act as.
    ``one_time_codes``: whether the caller logs in with them."""

    identity = fields.Nested(MyIdentity, required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    member_id = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    session_id = fields.String(required=True)
    one_time_codes = fields.Boolean(required=True)
    act = fields.Dict(required=True, allow_none=True)


class ProfilePatch(ma.Schema):
    """The fields of one's own profile to change. Another address needs the password, with the
    one-time code where they are on, or a recent re-authentication."""

    given_name = Name(domains=False)
    family_name = Name(domains=False)
    email = Address()
    password = secret()
    otp = otp()


class MyOrganization(OrganizationInfo):
    """An organization of the caller; ``open``: whether they can switch to it now."""

    role = fields.String(required=True)
    open = fields.Boolean(required=True)


class Serviced(MyOrganization):
    """A customer that the caller may enter by Remote Support, and the grant."""

    grant_id = fields.String(required=True)
    access = fields.String(required=True)
    expires_at = Stamp(required=True)


class MyOrganizations(ma.Schema):
    """The organizations that the caller may switch to."""

    own = fields.List(fields.Nested(MyOrganization), required=True)
    serviced = fields.List(fields.Nested(Serviced), required=True)
