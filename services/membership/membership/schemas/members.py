"""The people of an organization."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Flag, Stamp, Text
from chassis.http.paging import PageArgs, page_of
from marshmallow import fields, validate

from membership.schemas.fields import Address
from membership.values import roles


class Invitation(ma.Schema):
    """How the invitation of somebody who has not joined yet stands. ``sent_at`` is null while the mail is on its way;
    ``expired``: they hold no link that is good, and none is on its way."""

    sent_at = Stamp(required=True, allow_none=True)
    expires_at = Stamp(required=True, allow_none=True)
    expired = fields.Boolean(required=True)


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
    invitation = fields.Nested(Invitation, required=True, allow_none=True)
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
            raise ma.ValidationError(
                {"name": ["required: Give a name, or a given and a family name."]}
            )
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
            problems[name] = [
                f"required: Portal access needs {'a role' if name == 'role' else 'an e-mail address'}."
            ]
        if not portal_access and data.get(name) is not None:
            problems[name] = ["no_portal_access: Only somebody with portal access has this."]
    if problems:
        raise ma.ValidationError(problems)
