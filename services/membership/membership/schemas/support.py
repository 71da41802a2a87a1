"""Staff who step in."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text
from chassis.http.paging import page_of
from marshmallow import fields, validate

from membership.models import SupportGrant
from membership.queries.support import Inside
from membership.schemas.fields import OrganizationInfo
from membership.values.support import MOST_MINUTES, SHOWN_AS, SUPPORT, USUAL_MINUTES


class LoginAsBody(ma.Schema):
    """Why to act as this member."""

    reason = Text(required=True, most=500)


class EnterBody(ma.Schema):
    """Why to go in; without, for the reason of the grant."""

    reason = Text(most=500)


class NothingMore(ma.Schema):
    """An empty object."""


class NewGrant(ma.Schema):
    """Why to enter, how long, and whether only to look."""

    reason = Text(required=True, most=500)
    minutes = fields.Integer(
        strict=True, load_default=USUAL_MINUTES, validate=validate.Range(1, MOST_MINUTES)
    )
    access = fields.String(load_default="full", validate=validate.OneOf(["full", "read"]))


class Party(ma.Schema):
    """Who it was; of the provider's staff a customer learns no more than that."""

    id = fields.String(required=True)
    name = fields.String(required=True)


class Grant(ma.Schema):
    """Leave to enter an organization. ``decided_by``: nobody, where the provider manages it."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True)
    access = fields.String(required=True)
    minutes = fields.Integer(required=True)
    requested_by = fields.Nested(Party, required=True)
    requested_at = Stamp(required=True)
    decided_by = fields.Nested(Party, required=True, allow_none=True)
    decided_at = Stamp(required=True, allow_none=True)
    expires_at = Stamp(required=True)
    ended_at = Stamp(required=True, allow_none=True)
    ended_why = fields.String(required=True, allow_none=True)


class InsideNow(ma.Schema):
    """Somebody who is in now, as a member (``member``) or under a grant."""

    id = fields.String(required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    mode = fields.String(required=True)
    access = fields.String(required=True)
    reason = fields.String(required=True)
    who = fields.Nested(Party, required=True)
    member = fields.Nested(Party, required=True, allow_none=True)
    grant_id = fields.String(required=True, allow_none=True)
    started_at = Stamp(required=True)
    expires_at = Stamp(required=True)


class GrantPage(page_of(Grant)):  # type: ignore[misc]
    """Grants, newest first, and who is inside now."""

    inside = fields.List(fields.Nested(InsideNow), required=True)


class ActingTokens(ma.Schema):
    """A way in for a while; it can't be renewed."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    act = fields.Dict(required=True)
    organization = fields.Nested(OrganizationInfo, required=True)
    member_id = fields.String(required=True, allow_none=True)
    role = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)


def grant_for(grant: SupportGrant, *, masked: bool) -> dict[str, Any]:
    """The grant as staff see it, or ``masked`` for the customer."""
    shown: dict[str, Any] = {
        name: getattr(grant, name) for name in Grant().fields if not name.endswith("_by")
    }
    shown["requested_by"] = _party(grant.requested_by, grant.requested_by_name, masked)
    decided = grant.decided_by is not None
    shown["decided_by"] = (
        {"id": grant.decided_by, "name": grant.decided_by_name or ""} if decided else None
    )
    return shown


def inside_for(inside: Inside, *, masked: bool) -> dict[str, Any]:
    """Who is in, as staff see it, or ``masked`` for the customer."""
    acting, organization, member = inside
    shown = ("id", "mode", "access", "reason", "grant_id", "started_at", "expires_at")
    return {name: getattr(acting, name) for name in shown} | {
        "organization": organization,
        "member": member,
        "who": _party(acting.staff_identity_id, acting.staff_name, masked),
    }


def _party(identity_id: str, name: str, masked: bool) -> dict[str, str]:
    return {"id": SHOWN_AS, "name": SUPPORT} if masked else {"id": identity_id, "name": name}
