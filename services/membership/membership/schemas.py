"""What crosses the door."""

from typing import Any

import marshmallow as ma
from chassis.fields import Flag, Stamp, Text, TypeId
from chassis.paging import PageArgs, page_of
from marshmallow import fields, validate

from membership.values import addresses, roles


class Address(Text):
    """An e-mail address, in its one spelling."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=addresses.LONGEST, metadata={"format": "email"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return addresses.parse(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as problem:
            if isinstance(problem, ma.ValidationError):
                raise
            raise ma.ValidationError("email: Must be an e-mail address.") from problem


def _secret(**kwargs: Any) -> fields.String:
    """Text taken as it comes: a password may hold anything."""
    return fields.String(validate=validate.Length(1, 1024), metadata={"format": "password"}, **kwargs)


class NewSession(ma.Schema):
    """Who wants to log in, and where."""

    email = Text(required=True, most=1024)
    password = _secret(required=True)
    otp = fields.String(validate=validate.Length(1, 64))
    organization_id = TypeId("org")


class RefreshBody(ma.Schema):
    """The refresh token of a session."""

    refresh_token = fields.String(required=True, validate=validate.Length(1, 1024))


class ExchangeBody(ma.Schema):
    """The organization to enter."""

    organization_id = TypeId("org", required=True)


class IdentityInfo(ma.Schema):
    """A person."""

    id = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    given_name = fields.String(required=True)
    family_name = fields.String(required=True)


class OrganizationInfo(ma.Schema):
    """An organization, in short."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)


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


class Me(ma.Schema):
    """Who is asking, where, as what, and for whom they act."""

    identity = fields.Nested(IdentityInfo, required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    member_id = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    session_id = fields.String(required=True)
    act = fields.Dict(required=True, allow_none=True)


class MyOrganization(OrganizationInfo):
    """Somewhere the caller belongs; ``open``: whether they could switch to it now."""

    role = fields.String(required=True)
    open = fields.Boolean(required=True)


class MyOrganizations(ma.Schema):
    """Where the caller may switch to."""

    own = fields.List(fields.Nested(MyOrganization), required=True)
    serviced = fields.List(fields.Nested(MyOrganization), required=True)


class LinkedOrganization(ma.Schema):
    """The organization a link is about."""

    id = fields.String(required=True)
    name = fields.String(required=True)


class LinkInfo(ma.Schema):
    """What a link is good for, without using it."""

    email = fields.String(required=True)
    organization = fields.Nested(LinkedOrganization, required=True, allow_none=True)
    purpose = fields.String(required=True)
    password_required = fields.Boolean(required=True)
    expires_at = Stamp(required=True)


class VerificationBody(ma.Schema):
    """The password to set; not needed where there is one already."""

    password = _secret()


class Verified(ma.Schema):
    """The address is proved and the member active."""

    verified = fields.Boolean(required=True)
    email = fields.String(required=True)
    organization = fields.Nested(LinkedOrganization, required=True)
    member_id = fields.String(required=True)


class ResetRequest(ma.Schema):
    """Who has lost their password."""

    email = Text(required=True, most=1024)


class ResetBody(ma.Schema):
    """The new password."""

    password = _secret(required=True)


class Accepted(ma.Schema):
    """The same answer for everybody."""

    accepted = fields.Boolean(required=True)


class ResetDone(ma.Schema):
    """The new password holds, and every session has ended."""

    reset = fields.Boolean(required=True)
    email = fields.String(required=True)


class Member(ma.Schema):
    """Somebody in an organization."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    identity_id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    given_name = fields.String(required=True, allow_none=True)
    family_name = fields.String(required=True, allow_none=True)
    email = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    preset = fields.String(required=True, allow_none=True)
    portal_access = fields.Boolean(required=True)
    status = fields.String(required=True)
    verified = fields.Boolean(required=True)
    extension = fields.String(required=True, allow_none=True)
    created_at = Stamp(required=True)


class MemberWithPin(Member):
    """A member as answered when they get a PIN: it is shown this once."""

    pin = fields.String()


MemberPage = page_of(Member)
_ROLE = validate.OneOf(["admin", "member"])


class MemberQuery(PageArgs):
    """Which members."""

    q = Text(most=100)
    role = fields.String(validate=validate.OneOf(["owner", "admin", "member"]))
    status = fields.String(validate=validate.OneOf(["pending", "active", "disabled"]))
    portal_access = fields.Boolean()


class MemberFields(ma.Schema):
    """What a request says of a member."""

    name = Text()
    given_name = Text()
    family_name = Text()
    email = Address()
    role = fields.String(validate=_ROLE)
    preset = fields.String(validate=validate.OneOf(roles.PRESETS), allow_none=True)


class NewMember(MemberFields):
    """Somebody to add, with a login or without."""

    portal_access = Flag(required=True)
    extension = Text(most=32)

    @ma.validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """A name; a role and an address with a login, neither without."""
        if not data.get("name") and not (data.get("given_name") and data.get("family_name")):
            raise ma.ValidationError({"name": ["required: Give a name, or a given and a family name."]})
        if "portal_access" in data:
            check_access(data, data["portal_access"])


class MemberPatch(MemberFields):
    """What to change of a member."""

    portal_access = Flag()

    @ma.validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """Without a login there is neither role nor address."""
        if data.get("portal_access") is False:
            check_access(data, False)


def check_access(data: dict[str, Any], portal_access: bool) -> None:
    """Raise unless role and address are there exactly where there is a login."""
    problems: dict[str, list[str]] = {}
    for name in ("role", "email"):
        if portal_access and data.get(name) is None:
            problems[name] = [f"required: Portal access needs {'a role' if name == 'role' else 'an e-mail address'}."]
        if not portal_access and data.get(name) is not None:
            problems[name] = ["no_portal_access: Only somebody with portal access has this."]
    if problems:
        raise ma.ValidationError(problems)


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
