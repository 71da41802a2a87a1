"""The caller, their organizations, and the public signing keys."""

from collections.abc import Sequence
from typing import Any

from chassis.auth.access import current_caller, public, requires
from chassis.http import context, idempotency
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from membership import queries, schemas
from membership.actions import offboarding, profiles
from membership.queries import support as support_queries
from membership.values import roles
from membership.values.support import SUPPORT_SUBJECT_PREFIX
from membership.views import credentials, resources, security, support

blp = Blueprint("me", __name__, description="Your own account")


@blp.route("/.well-known/jwks.json", methods=["GET"])
@public
@blp.response(200)
def show_keys() -> Response:
    """Show the public keys that verify access tokens."""
    response = json_response(resources.signer().jwks())
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blp.route("/v1/me", methods=["GET"])
@requires("me.read")
@blp.response(200, schemas.Me)
def show_me() -> dict[str, Any]:
    """Show the caller: who they are, in which role, and whom they act as."""
    return _me()


def _me() -> dict[str, Any]:
    caller = current_caller()
    with context.database().reading() as session:
        organization = queries.organization(session, caller.organization_id)
        # A Remote Support session acts as no member and has no identity.
        acts_as_nobody = caller.sub.startswith(SUPPORT_SUBJECT_PREFIX)
        identity: Any = support.support_identity(caller.sub)
        membership = None
        with_codes = False
        if not acts_as_nobody:
            identity = queries.identity(session, caller.sub)
            membership = queries.membership_in(session, caller.sub, organization.id)
            with_codes = queries.has_one_time_codes(session, caller.sub)
    return {
        "identity": identity,
        "organization": organization,
        "role": caller.role,
        "scopes": sorted(caller.scope),
        "member_id": membership.member.id if membership else None,
        "session_id": caller.sid,
        "one_time_codes": with_codes,
        "act": dict(caller.act) if caller.act else None,
    }


@blp.route("/v1/me", methods=["PATCH"])
@requires("me.update")
@blp.arguments(schemas.ProfilePatch)
@blp.response(200, schemas.Me)
def update_me(body: dict[str, Any]) -> dict[str, Any]:
    """Change one's own profile, for all organizations. Another address takes effect once it is
    proved by the link that is mailed to it."""
    caller = current_caller()
    attempt = security.attempt(body) if "password" in body else None
    credentials.raise_failure(
        idempotency.retried(
            lambda session: profiles.change_profile(
                session,
                identity_id=caller.sub,
                session_id=caller.sid,
                fields=body,
                attempt=attempt,
                now=clock.now(),
            )
        )
    )
    return _me()


@blp.route("/v1/me/organizations", methods=["GET"])
@requires("me.read")
@blp.response(200, schemas.MyOrganizations)
def list_my_organizations() -> dict[str, Any]:
    """List the organizations that the caller may switch to: their own, and for staff those they
    may enter as support. During a support session there are none."""
    caller, now = current_caller(), clock.now()
    if caller.act:
        return {"own": [], "serviced": []}
    with context.database().reading() as session:
        memberships = queries.memberships(session, caller.sub)
        serviced: Sequence[Any] = []
        if support.may_enter(caller):
            serviced = support_queries.accessible_customers(session, caller.organization_id, now)
    own = [
        {
            "id": organization.id,
            "name": organization.name,
            "kind": organization.kind,
            "role": roles.in_token(organization.kind, member.role, member.preset),
            "open": organization.state == "open" and member.status == "active",
        }
        for member, organization in memberships
    ]
    return {"own": own, "serviced": [_serviced(*row) for row in serviced]}


@blp.route("/v1/me/memberships/<organization_id>", methods=["DELETE"])
@requires("me.leave")
@blp.response(204)
def leave_organization(organization_id: str) -> Response:
    """Leave an organization, with the effects of a removal: who belongs to no other one is erased.
    Owners transfer the ownership first."""
    caller = current_caller()
    idempotency.retried(
        lambda session: offboarding.leave_organization(
            session, organization_id=organization_id, identity_id=caller.sub, now=clock.now()
        )
    )
    return Response(status=204)


def _serviced(grant: Any, organization: Any) -> dict[str, Any]:
    return {
        "id": organization.id,
        "name": organization.name,
        "kind": organization.kind,
        "role": roles.OWNER,
        "open": organization.state == "open",
        "grant_id": grant.id,
        "access": grant.access,
        "expires_at": grant.expires_at,
    }
