"""Who am I, and where may I go."""

from typing import Any

from chassis import here
from chassis.body import Blueprint
from chassis.caller import public, requires, the_caller
from flask import Response, jsonify

from membership import queries, schemas
from membership.values import roles
from membership.views import context

blp = Blueprint("me", __name__, description="Oneself")


@blp.route("/.well-known/jwks.json", methods=["GET"])
@public
@blp.response(200)
def show_keys() -> Response:
    """The public keys that access tokens are checked with."""
    answer = jsonify(context.signer().jwks())
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


@blp.route("/v1/me", methods=["GET"])
@requires("me.read")
@blp.response(200, schemas.Me)
def show_me() -> dict[str, Any]:
    """Who am I, in which role, acting for whom."""
    caller = the_caller()
    with here.database().reading() as session:
        identity = queries.identity(session, caller.sub)
        organization = queries.organization(session, caller.organization_id)
        here_as = [p for p in queries.places(session, caller.sub) if p.organization.id == organization.id]
    return {
        "identity": identity, "organization": organization, "role": caller.role, "scopes": sorted(caller.scope),
        "member_id": here_as[0].member.id if here_as else None, "session_id": caller.sid,
        "act": dict(caller.act) if caller.act else None,
    }


@blp.route("/v1/me/organizations", methods=["GET"])
@requires("me.read")
@blp.response(200, schemas.MyOrganizations)
def list_my_organizations() -> dict[str, Any]:
    """Where may I switch to."""
    with here.database().reading() as session:
        places = queries.places(session, the_caller().sub)
    own = [
        {
            "id": organization.id, "name": organization.name, "kind": organization.kind,
            "role": roles.in_token(organization.kind, member.role, member.preset),
            "open": organization.state == "open" and member.status == "active",
        }
        for member, organization in places
    ]
    return {"own": own, "serviced": []}
