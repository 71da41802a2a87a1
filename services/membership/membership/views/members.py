"""Members of an organization."""

from collections.abc import Callable, Mapping
from typing import Any

from chassis import errors
from chassis.auth.access import current_caller, permit, requires
from chassis.http import context, etag, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from membership import guard, queries, schemas
from membership.actions import confirmations, member_links, offboarding
from membership.actions import members as actions
from membership.actions import pins as pin_actions
from membership.values import pins
from membership.views import resources

blp = Blueprint("members", __name__, url_prefix="/v1/organizations", description="Members")
LOGIN_FIELDS = {"email", "role", "portal_access", "preset"}
# What members see of each other.
NAMES = ("id", "organization_id", "name", "given_name", "family_name", "label", "role")
COVERED = ("name", "given_name", "family_name", "label", "pending_email", *sorted(LOGIN_FIELDS))


@blp.route("/<organization_id>/members", methods=["GET"])
@requires("member.list")
@blp.arguments(schemas.MemberQuery, location="query")
@blp.response(200, schemas.MemberPage)
def list_members(args: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """List the members by name. Customers' people with the role member cannot filter by what they
    do not see: status and portal access (422); their ``q`` searches names only."""
    limit, cursor = args.pop("limit"), args.pop("cursor", None)
    now, names_only = clock.now(), guard.sees_names_only(current_caller())
    if names_only:
        _check_visible(args)

    def shown(row: Any) -> dict[str, Any]:
        member, token, queued, mfa, own_pending = row[:5]
        invitation = queries.invitation_of(member, token, queued, now)
        return _shown(member, invitation, mfa, member.pending_email or own_pending)

    with context.database().reading() as session:
        return paging.page(
            session,
            queries.members(organization_id, names_only=names_only, **args),
            limit=limit,
            cursor=cursor,
            row=shown,
            order=f"members {organization_id} {names_only} {sorted(args.items())}",
        )


@blp.route("/<organization_id>/members", methods=["POST"])
@requires("member.add")
@blp.arguments(schemas.NewMember)
@blp.response(201, schemas.MemberWithPin)
def add_member(body: dict[str, Any], organization_id: str) -> Response:
    """Add a member. With a login they are invited by email; without one they get a PIN, shown
    only this once."""

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

    if body["portal_access"]:
        return change(None, None)
    return resources.with_pin(change)


@blp.route("/<organization_id>/members/<member_id>", methods=["GET"])
@requires("member.read")
@blp.response(200, schemas.Member)
def show_member(organization_id: str, member_id: str) -> Response:
    """Show a member."""
    with context.database().reading() as session:
        member = queries.member(session, organization_id, member_id)
        shown = _shown_now(session, member)
    covered = {name: shown[name] for name in COVERED}
    return etag.tag(json_response(schemas.Member().dump(shown)), covered)


@blp.route("/<organization_id>/members/<member_id>", methods=["PATCH"])
@requires("member.update")
@blp.arguments(schemas.MemberPatch)
@blp.response(200, schemas.MemberWithPin)
def update_member(body: dict[str, Any], organization_id: str, member_id: str) -> Response:
    """Change a member. A new address of a member who has joined takes effect once it is
    proved; one's own needs a recent re-authentication. A member who loses their login gets a PIN,
    shown only this once."""
    if body.keys() & LOGIN_FIELDS:
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
                session_id=current_caller().sid,
                unchanged=lambda member: etag.check(patchable(member)),
                **who,
            ),
            organization_id,
            pin=pin,
            pin_hash=pin_hash,
        )

    if loses_login:
        return resources.with_pin(change)
    return change(None, None)


@blp.route("/<organization_id>/members/<member_id>", methods=["DELETE"])
@requires("member.remove")
@blp.response(204)
def remove_member(organization_id: str, member_id: str) -> Response:
    """Remove a member."""
    who = _who(organization_id)
    idempotency.retried(
        lambda session: offboarding.remove_member(
            session, organization_id=organization_id, member_id=member_id, **who
        )
    )
    return Response(status=204)


@blp.route("/<organization_id>/members/<member_id>/disable", methods=["POST"])
@requires("member.disable")
@blp.response(200, schemas.DisabledMember)
def disable_member(organization_id: str, member_id: str) -> Response:
    """Disable a member: end their access until they are enabled again. The response has what they
    left behind."""
    more: dict[str, Any] = {}

    def disable(session: Any, **who: Any) -> Any:
        member, more["left_behind"] = offboarding.disable_member(
            session, organization_id=organization_id, member_id=member_id, **who
        )
        return member

    return _change(disable, organization_id, schema=schemas.DisabledMember(), more=more)


@blp.route("/<organization_id>/members/<member_id>/left-behind", methods=["GET"])
@requires("member.disable")
@blp.response(200, schemas.LeftBehind)
def show_left_behind(organization_id: str, member_id: str) -> queries.LeftBehind:
    """Show what a member would leave behind if they were disabled or removed now."""
    with context.database().reading() as session:
        member = queries.member(session, organization_id, member_id)
        return queries.left_behind(session, member, clock.now())


@blp.route("/<organization_id>/members/<member_id>/enable", methods=["POST"])
@requires("member.enable")
@blp.response(200, schemas.Member)
def enable_member(organization_id: str, member_id: str) -> Response:
    """Enable a disabled member."""
    return _act(actions.enable_member, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/confirm", methods=["POST"])
@requires("member.confirm")
@blp.response(200, schemas.Member)
def confirm_member(organization_id: str, member_id: str) -> Response:
    """Confirm a member whom the provider added or changed. As an admin they may then approve
    support access."""
    return _act(confirmations.confirm_member, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/resend-verification", methods=["POST"])
@requires("member.resend")
@blp.response(200, schemas.Member)
def resend_verification(organization_id: str, member_id: str) -> Response:
    """Email the verification link again. The previous one stops working immediately."""
    return _act(member_links.resend_verification, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/reset-password", methods=["POST"])
@requires("member.reset_password")
@blp.response(200, schemas.Member)
def reset_password(organization_id: str, member_id: str) -> Response:
    """Email the member a link to reset their password. Nothing changes until they use it."""
    return _act(member_links.reset_password, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/reset-pin", methods=["POST"])
@requires("member.reset_pin")
@blp.response(200, schemas.MemberWithPin)
def reset_pin(organization_id: str, member_id: str) -> Response:
    """Set a new PIN, shown only this once. The previous one stops working immediately."""
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
    """The fields that the member's ETag covers."""
    return {name: getattr(member, name) for name in COVERED}


def _who(organization_id: str) -> dict[str, Any]:
    caller = current_caller()
    return {
        "authority": guard.authority(caller, organization_id),
        "by": caller.actor(),
        "now": clock.now(),
    }


def _act(action: Callable[..., Any], organization_id: str, member_id: str) -> Response:
    return _change(
        lambda session, **who: action(
            session, organization_id=organization_id, member_id=member_id, **who
        ),
        organization_id,
    )


def _check_visible(filters: dict[str, Any]) -> None:
    for name in ("status", "portal_access"):
        if name in filters:
            detail = "Your role sees names and roles only. Leave this filter out."
            raise errors.invalid(f"/{name}", "not_visible", detail)


def _shown(
    member: Any,
    invitation: queries.Invitation | None,
    mfa: bool | None,
    pending_email: str | None,
) -> dict[str, Any]:
    names = schemas.Member().fields.keys() - {"invitation", "mfa", "pending_email", "identity_id"}
    # The id is that of the person's login elsewhere, so it would show that there is one.
    identity_id = member.identity_id if member.verified else None
    shown = {name: getattr(member, name) for name in names}
    shown |= {"identity_id": identity_id, "invitation": invitation}
    shown |= {"mfa": mfa, "pending_email": pending_email}
    caller = current_caller()
    if guard.sees_names_only(caller) and member.identity_id != caller.sub:
        return {name: shown[name] if name in NAMES else None for name in shown}
    return shown


def _shown_now(session: Any, member: Any) -> dict[str, Any]:
    invitation = queries.invitation(session, member, clock.now())
    mfa = queries.shows_mfa(session, member)
    return _shown(member, invitation, mfa, queries.pending_email(session, member))


def _change(
    action: Callable[..., Any],
    organization_id: str,
    *,
    status: int = 200,
    pin: str | None = None,
    pin_hash: str | None = None,
    schema: schemas.Member | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """The response to a change. ``pin`` is shown only if its hash was stored; ``more``: what the
    action leaves there to be shown too."""

    def act(session: Any) -> dict[str, Any]:
        member = action(session, **_who(organization_id))
        if pin:
            pins.check(pin, member.extension)
        session.flush()
        shown = _shown_now(session, member)
        if pin and member.pin_hash == pin_hash:
            shown["pin"] = pin
        return shown | dict(more or {})

    response = idempotency.change(
        schema or schemas.MemberWithPin(), act, status=status, secret=pin is not None
    )
    if response.status_code == status:
        shown = response.get_json()
        response = etag.tag(response, {name: shown[name] for name in COVERED})
    return response
