"""Login As and Remote Support."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text
from chassis.http.paging import page_of
from marshmallow import fields, validate

from membership.models import SupportGrant
from membership.queries.support import ActiveSession
from membership.schemas.fields import OrganizationInfo
from membership.values.support import DEFAULT_GRANT_MINUTES, MAX_GRANT_MINUTES, SUPPORT, SUPPORT_ID


class LoginAsBody(ma.Schema):
    """The reason to log in as this member."""

    reason = Text(required=True, most=500)


class EnterBody(ma.Schema):
    """The reason to enter; without one, the reason of the grant."""

    reason = Text(most=500)


class NothingMore(ma.Schema):
    """An empty object."""


class NewGrant(ma.Schema):
    """A request to enter: the reason, the duration and the kind of access."""

    reason = Text(required=True, most=500)
    minutes = fields.Integer(
        strict=True,
        load_default=DEFAULT_GRANT_MINUTES,
        validate=validate.Range(1, MAX_GRANT_MINUTES),
    )
    access = fields.String(load_default="full", validate=validate.OneOf(["full", "read"]))


class Party(ma.Schema):
    """A person. Customers do not see which staff member it is."""

    id = fields.String(required=True)
    name = fields.String(required=True)


class Grant(ma.Schema):
    """Permission to enter an organization. ``decided_by`` is null where the provider manages it."""

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
    """An active support session, as a member (``member``) or under a grant."""

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
    """Grants, newest first, and the active support sessions."""

    inside = fields.List(fields.Nested(InsideNow), required=True)


class ActingTokens(ma.Schema):
    """An access token for a limited time; it cannot be renewed."""

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
    shown["decided_by"] = None
    if grant.decided_by is not None:
        shown["decided_by"] = {"id": grant.decided_by, "name": grant.decided_by_name or ""}
    return shown


def active_session_for(active: ActiveSession, *, masked: bool) -> dict[str, Any]:
    """The support session as staff see it, or ``masked`` for the customer."""
    acting, organization, member = active
    shown = ("id", "mode", "access", "reason", "grant_id", "started_at", "expires_at")
    return {name: getattr(acting, name) for name in shown} | {
        "organization": organization,
        "member": member,
        "who": _party(acting.staff_identity_id, acting.staff_name, masked),
    }


def _party(identity_id: str, name: str, masked: bool) -> dict[str, str]:
    if masked:
        return {"id": SUPPORT_ID, "name": SUPPORT}
    return {"id": identity_id, "name": name}
