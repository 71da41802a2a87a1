"""Members of an organization."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Flag, Name, Stamp, Text
from chassis.http.paging import PageArgs, page_of
from marshmallow import fields, validate

from membership.schemas.fields import Address
from membership.values import roles


class Invitation(ma.Schema):
    """The invitation of a member who has not joined yet. ``sent_at`` is null while the email is
    queued; ``expired``: there is no valid link and none is queued."""

    sent_at = Stamp(required=True, allow_none=True)
    expires_at = Stamp(required=True, allow_none=True)
    expired = fields.Boolean(required=True)


class Member(ma.Schema):
    """A member of an organization. ``confirmed`` is false for a person whom the customer's provider
    added, made an admin or moved to another address, until the owner confirms them; such an admin
    cannot approve support access. ``name`` is the person's own once they have joined; ``label`` is
    the organization's name for them where it is another one, or where they have not joined yet.
    ``identity_id`` is null until the member has joined.
    ``pending_email``: the new address, until it is proved; until then ``email`` works.

    ``mfa``: whether the person has a second factor; false until they have joined.
    ``last_signed_in_at``: when they last signed in to this organization, or switched to it; null:
    never.

    Customers' people with the role member see the names and roles of the others: of everybody but
    themselves, all fields except ``id``, ``organization_id``, the names, ``label`` and ``role`` are
    null."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    identity_id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    given_name = fields.String(required=True, allow_none=True)
    family_name = fields.String(required=True, allow_none=True)
    label = fields.String(required=True, allow_none=True)
    email = fields.String(required=True, allow_none=True)
    pending_email = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    preset = fields.String(required=True, allow_none=True)
    portal_access = fields.Boolean(required=True, allow_none=True)
    status = fields.String(required=True, allow_none=True)
    verified = fields.Boolean(required=True, allow_none=True)
    mfa = fields.Boolean(required=True, allow_none=True)
    last_signed_in_at = Stamp(required=True, allow_none=True)
    extension = fields.String(required=True, allow_none=True)
    confirmed = fields.Boolean(required=True, allow_none=True)
    invitation = fields.Nested(Invitation, required=True, allow_none=True)
    created_at = Stamp(required=True, allow_none=True)


class LeftBehind(ma.Schema):
    """What a member leaves behind. ``keys``: valid API keys that they created; they are suspended
    until an owner adopts them. ``grants``: support grants that they requested, pending or active;
    they end. ``sessions``: their sessions, support sessions at customers included; they end."""

    keys = fields.Integer(required=True)
    grants = fields.Integer(required=True)
    sessions = fields.Integer(required=True)


class DisabledMember(Member):
    """A disabled member, and what they leave behind."""

    left_behind = fields.Nested(LeftBehind, required=True)


class MemberWithPin(Member):
    """A member with their new PIN, which is shown only this once."""

    pin = fields.String()


MemberPage = page_of(Member)
_ROLE = validate.OneOf(["admin", "member"])


class MemberQuery(PageArgs):
    """Filters for the list of members."""

    q = Text(most=100)
    role = fields.String(validate=validate.OneOf(["owner", "admin", "member"]))
    status = fields.String(validate=validate.OneOf(["pending", "active", "disabled"]))
    portal_access = fields.Boolean()


class MemberFields(ma.Schema):
    """The fields that a request can set."""

    name = Name()
    given_name = Name(domains=False)
    family_name = Name(domains=False)
    email = Address()
    role = fields.String(validate=_ROLE)
    preset = fields.String(validate=validate.OneOf(roles.PRESETS), allow_none=True)


class NewMember(MemberFields):
    """A member to add, with a login or without."""

    portal_access = Flag(required=True)
    extension = Text(most=32)

    @ma.validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """A name is required. With a login, so are a role and an address; without one, neither is
        allowed."""
        if not data.get("name") and not (data.get("given_name") and data.get("family_name")):
            raise ma.ValidationError(
                {"name": ["required: Enter a name, or a given name and a family name."]}
            )
        if "portal_access" in data:
            check_access(data, data["portal_access"])


class MemberPatch(MemberFields):
    """The fields to change."""

    portal_access = Flag()

    @ma.validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """Without a login, neither a role nor an address is allowed."""
        if data.get("portal_access") is False:
            check_access(data, False)


def check_access(data: dict[str, Any], portal_access: bool) -> None:
    """Raise ValidationError unless role and address are given exactly where there is a login."""
    problems: dict[str, list[str]] = {}
    for name, needed in (("role", "a role"), ("email", "an email address")):
        if portal_access and data.get(name) is None:
            problems[name] = [f"required: Portal access requires {needed}."]
        if not portal_access and data.get(name) is not None:
            problems[name] = ["no_portal_access: Only members with portal access have this."]
    if problems:
        raise ma.ValidationError(problems)
