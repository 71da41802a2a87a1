"""The people of an organization."""

from collections.abc import Callable
from typing import Any

from chassis.auth.access import current_caller, permit, requires
from chassis.http import context, etag, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from membership import guard, queries, schemas
from membership.actions import members as actions
from membership.actions import pins as pin_actions
from membership.values import pins
from membership.views import resources

blp = Blueprint("members", __name__, url_prefix="/v1/organizations", description="Members")
LOGIN = {"email", "role", "portal_access", "preset"}
PATCHABLE = ("name", "given_name", "family_name", *sorted(LOGIN))


@blp.route("/<organization_id>/members", methods=["GET"])
@requires("member.list")
@blp.arguments(schemas.MemberQuery, location="query")
@blp.response(200, schemas.MemberPage)
def list_members(args: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """The members, by name."""
    limit, cursor = args.pop("limit"), args.pop("cursor", None)
    now = clock.now()

    def row(found: Any) -> dict[str, Any]:
        member, token, comes = found[:3]
        return _shown(member, queries.invitation_of(member, token, comes, now))

    with context.database().reading() as session:
        return paging.page(
            session,
            queries.members(organization_id, **args),
            limit=limit,
            cursor=cursor,
            row=row,
            order=f"members {organization_id} {sorted(args.items())}",
        )


@blp.route("/<organization_id>/members", methods=["POST"])
@requires("member.add")
@blp.arguments(schemas.NewMember)
@blp.response(201, schemas.MemberWithPin)
def add_member(body: dict[str, Any], organization_id: str) -> Response:
    """Add somebody, with a login (invited by mail) or without (the PIN is shown this once)."""

    def change(pin: str | None, pin_hash: str | None) -> Response:
        return _change(
            lambda session, **who: actions.add_member(
                session, organization_id=organization_id, fields=body, pin_hash=pin_hash, **who
            ),
            organization_id,
            status=201,
            pin=pin,
            pin_hash=pin_hash,
        )

    return change(None, None) if body["portal_access"] else resources.with_pin(change)


@blp.route("/<organization_id>/members/<member_id>", methods=["GET"])
@requires("member.read")
@blp.response(200, schemas.Member)
def show_member(organization_id: str, member_id: str) -> Response:
    """One member."""
    with context.database().reading() as session:
        member = queries.member(session, organization_id, member_id)
        shown = _shown(member, queries.invitation(session, member, clock.now()))
    return etag.tag(json_response(schemas.Member().dump(shown)), patchable(member))


@blp.route("/<organization_id>/members/<member_id>", methods=["PATCH"])
@requires("member.update")
@blp.arguments(schemas.MemberPatch)
@blp.response(200, schemas.MemberWithPin)
def update_member(body: dict[str, Any], organization_id: str, member_id: str) -> Response:
    """Change a member. A new address is verified anew; whoever loses their login gets a PIN, shown
    this once."""
    if body.keys() & LOGIN:
        permit("member.change_login", organization_id)
    with context.database().reading() as session:
        loses_login = (
            body.get("portal_access") is False
            and queries.member(session, organization_id, member_id).portal_access
        )

    def change(pin: str | None, pin_hash: str | None) -> Response:
        return _change(
            lambda session, **who: actions.update_member(
                session,
                organization_id=organization_id,
                member_id=member_id,
                fields=body,
                pin_hash=pin_hash,
                unchanged=lambda member: etag.check(patchable(member)),
                **who,
            ),
            organization_id,
            pin=pin,
            pin_hash=pin_hash,
        )

    return resources.with_pin(change) if loses_login else change(None, None)


@blp.route("/<organization_id>/members/<member_id>", methods=["DELETE"])
@requires("member.remove")
@blp.response(204)
def remove_member(organization_id: str, member_id: str) -> Response:
    """Remove a member."""
    who = _who(organization_id)
    idempotency.retried(
        lambda session: actions.remove_member(
            session, organization_id=organization_id, member_id=member_id, **who
        )
    )
    return Response(status=204)


@blp.route("/<organization_id>/members/<member_id>/disable", methods=["POST"])
@requires("member.disable")
@blp.response(200, schemas.Member)
def disable_member(organization_id: str, member_id: str) -> Response:
    """Shut a member out."""
    return _act(actions.disable_member, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/enable", methods=["POST"])
@requires("member.enable")
@blp.response(200, schemas.Member)
def enable_member(organization_id: str, member_id: str) -> Response:
    """Let a member in again."""
    return _act(actions.enable_member, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/resend-verification", methods=["POST"])
@requires("member.resend")
@blp.response(200, schemas.Member)
def resend_verification(organization_id: str, member_id: str) -> Response:
    """Mail the link again; the one before is dead at once."""
    return _act(actions.resend_verification, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/reset-password", methods=["POST"])
@requires("member.reset_password")
@blp.response(200, schemas.Member)
def reset_password(organization_id: str, member_id: str) -> Response:
    """Mail the member a link to a new password; until they use it nothing changes."""
    return _act(actions.reset_password, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/reset-pin", methods=["POST"])
@requires("member.reset_pin")
@blp.response(200, schemas.MemberWithPin)
def reset_pin(organization_id: str, member_id: str) -> Response:
    """Another PIN, shown this once; the one before is dead at once."""
    return resources.with_pin(
        lambda pin, pin_hash: _change(
            lambda session, **who: pin_actions.reset_pin(
                session,
                organization_id=organization_id,
                member_id=member_id,
                pin_hash=pin_hash,
                **who,
            ),
            organization_id,
            pin=pin,
            pin_hash=pin_hash,
        )
    )


def patchable(member: Any) -> dict[str, Any]:
    """What the member's ETag covers."""
    return {name: getattr(member, name) for name in PATCHABLE}


def _who(organization_id: str) -> dict[str, Any]:
    caller = current_caller()
    return {"reach": guard.reach(caller, organization_id), "by": caller.actor(), "now": clock.now()}


def _act(action: Callable[..., Any], organization_id: str, member_id: str) -> Response:
    return _change(
        lambda session, **who: action(
            session, organization_id=organization_id, member_id=member_id, **who
        ),
        organization_id,
    )


def _shown(member: Any, invitation: queries.Invitation | None) -> dict[str, Any]:
    names = schemas.Member().fields.keys() - {"invitation"}
    return {name: getattr(member, name) for name in names} | {"invitation": invitation}


def _change(
    action: Callable[..., Any],
    organization_id: str,
    *,
    status: int = 200,
    pin: str | None = None,
    pin_hash: str | None = None,
) -> Response:
    """``pin``: shown where its hash was stored, and no other."""
    schema = schemas.MemberWithPin()

    def act(session: Any) -> dict[str, Any]:
        member = action(session, **_who(organization_id))
        if pin:
            pins.check(pin, member.extension)
        session.flush()
        shown = _shown(member, queries.invitation(session, member, clock.now()))
        return shown | ({"pin": pin} if pin and member.pin_hash == pin_hash else {})

    answer = idempotency.change(schema, act, status=status, secret=pin is not None)
    if answer.status_code == status:
        answer = etag.tag(answer, {name: answer.get_json()[name] for name in PATCHABLE})
    return answer
