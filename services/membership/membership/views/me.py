"""Who am I, and where may I go."""

from typing import Any

from chassis.auth.access import current_caller, public, requires
from chassis.http import context
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from membership import queries, schemas
from membership.queries import support as found
from membership.values import roles
from membership.values.support import NOBODY
from membership.views import resources, support

blp = Blueprint("me", __name__, description="Oneself")


@blp.route("/.well-known/jwks.json", methods=["GET"])
@public
@blp.response(200)
def show_keys() -> Response:
    """The public keys that access tokens are checked with."""
    answer = json_response(resources.signer().jwks())
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


@blp.route("/v1/me", methods=["GET"])
@requires("me.read")
@blp.response(200, schemas.Me)
def show_me() -> dict[str, Any]:
    """Who am I, in which role, acting for whom."""
    caller = current_caller()
    with context.database().reading() as session:
        organization = queries.organization(session, caller.organization_id)
        nobody = caller.sub.startswith(NOBODY)
        identity = support.nobody(caller.sub) if nobody else queries.identity(session, caller.sub)
        places = [] if nobody else queries.places(session, caller.sub)
        with_codes = not nobody and queries.has_codes(session, caller.sub)
        here_as = [p for p in places if p.organization.id == organization.id]
    return {
        "identity": identity,
        "organization": organization,
        "role": caller.role,
        "scopes": sorted(caller.scope),
        "member_id": here_as[0].member.id if here_as else None,
        "session_id": caller.sid,
        "one_time_codes": with_codes,
        "act": dict(caller.act) if caller.act else None,
    }


@blp.route("/v1/me/organizations", methods=["GET"])
@requires("me.read")
@blp.response(200, schemas.MyOrganizations)
def list_my_organizations() -> dict[str, Any]:
    """Where may I switch to: one's own places, and for staff those they may enter as support.
    Whoever acts may go nowhere else."""
    caller, now = current_caller(), clock.now()
    if caller.act:
        return {"own": [], "serviced": []}
    with context.database().reading() as session:
        places = queries.places(session, caller.sub)
        serviced = (
            found.live_customers(session, caller.organization_id, now)
            if support.may_enter(caller)
            else []
        )
    own = [
        {
            "id": organization.id,
            "name": organization.name,
            "kind": organization.kind,
            "role": roles.in_token(organization.kind, member.role, member.preset),
            "open": organization.state == "open" and member.status == "active",
        }
        for member, organization in places
    ]
    return {"own": own, "serviced": [_serviced(*row) for row in serviced]}


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
