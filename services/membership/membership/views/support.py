"""Staff who step in: as a member, or as nobody in particular."""

from collections.abc import Callable
from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.auth.callers import Caller
from chassis.db.database import Session
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import guard, queries, schemas
from membership.actions import acting_sessions, audit_log, support
from membership.queries import support as found
from membership.queries.support import Inside
from membership.values.support import SUPPORT
from membership.views import resources

blp = Blueprint("support", __name__, url_prefix="/v1", description="Login As and Remote Support")
_SUPPORT = "/organizations/<organization_id>/remote-support"


@blp.route("/organizations/<organization_id>/members/<member_id>/login-as", methods=["POST"])
@requires("member.login_as")
@blp.arguments(schemas.LoginAsBody)
@blp.response(201, schemas.ActingTokens)
def log_in_as(body: dict[str, Any], organization_id: str, member_id: str) -> dict[str, Any]:
    """Act as a member for half an hour; everything done is recorded under both names."""
    return tokens_of(
        step_in(
            lambda session, **who: acting_sessions.log_in_as(
                session,
                organization_id=organization_id,
                member_id=member_id,
                reason=body["reason"],
                **who,
            )
        )
    )


@blp.route(_SUPPORT, methods=["POST"])
@requires("support.request")
@blp.arguments(schemas.NewGrant)
@blp.response(201, schemas.Grant)
def request_grant(body: dict[str, Any], organization_id: str) -> Response:
    """Ask for leave to enter; where the provider manages the organization it is given at once."""
    staff = guard.staff_of(current_caller())
    return idempotency.change(
        schemas.Grant(),
        lambda session: schemas.grant_for(
            support.request_grant(
                session, organization_id=organization_id, staff=staff, now=clock.now(), **body
            ),
            masked=False,
        ),
        status=201,
    )


@blp.route(_SUPPORT, methods=["GET"])
@requires("support.read")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.GrantPage)
def list_grants(args: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """What was granted, newest first, and who of the provider is inside now."""
    masked = not current_caller().is_staff
    with context.database().reading() as session:
        inside = found.inside_organization(session, organization_id, clock.now())
        return paging.page(
            session,
            found.grants(organization_id),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"grants {organization_id}",
            row=lambda row: schemas.grant_for(row[0], masked=masked),
        ) | {"inside": [schemas.inside_for(one, masked=masked) for one in inside]}


@blp.route("/remote-support", methods=["GET"])
@requires("support.overview")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.GrantPage)
def list_live_grants(args: dict[str, Any]) -> dict[str, Any]:
    """Which customers may be entered now, and who of us is inside which."""
    provider_id, now = current_caller().organization_id, clock.now()
    with context.database().reading() as session:
        inside = found.inside_customers(session, provider_id, now)
        return paging.page(
            session,
            found.live_grants(provider_id, now),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"live grants {provider_id}",
            row=lambda row: schemas.grant_for(row[0], masked=False),
        ) | {"inside": [schemas.inside_for(one, masked=False) for one in inside]}


@blp.route(f"{_SUPPORT}/<grant_id>/approve", methods=["POST"])
@requires("support.consent")
@blp.arguments(schemas.NothingMore)
@blp.response(200, schemas.Grant)
def approve_grant(_body: dict[str, Any], organization_id: str, grant_id: str) -> Response:
    """Let support in; its time runs from now."""
    by = current_caller().actor()
    return idempotency.change(
        schemas.Grant(),
        lambda session: schemas.grant_for(
            support.approve_grant(
                session, organization_id=organization_id, grant_id=grant_id, by=by, now=clock.now()
            ),
            masked=True,
        ),
    )


@blp.route(f"{_SUPPORT}/<grant_id>/enter", methods=["POST"])
@requires("support.enter")
@blp.arguments(schemas.EnterBody)
@blp.response(201, schemas.ActingTokens)
def enter(body: dict[str, Any], organization_id: str, grant_id: str) -> dict[str, Any]:
    """Go in under a grant, for an hour at the most; the customer sees support, and not who it
    is."""
    return tokens_of(go_in(organization_id, grant_id, body.get("reason")))


@blp.route(f"{_SUPPORT}/<grant_or_session_id>", methods=["DELETE"])
@requires("support.end")
@blp.response(204)
def end_access(organization_id: str, grant_or_session_id: str) -> Response:
    """End a grant and put everybody out who is in under it; or only one who is in, as a member
    too."""
    caller = current_caller()
    idempotency.retried(
        lambda session: support.end_access(
            session,
            organization_id=organization_id,
            wanted=grant_or_session_id,
            by=who_ends(caller),
            now=clock.now(),
            staff=guard.staff_of(caller) if caller.is_staff else None,
        )
    )
    return Response(status=204)


def go_in(organization_id: str, grant_id: str | None, reason: str | None) -> Inside:
    """Enter as support."""
    return step_in(
        lambda session, **who: acting_sessions.enter(
            session, organization_id=organization_id, grant_id=grant_id, reason=reason, **who
        )
    )


def step_in(action: Callable[..., Inside]) -> Inside:
    """Begin to act: it is committed before there is a token."""
    began: list[Inside] = []
    staff = guard.staff_of(current_caller())

    def act(session: Session) -> dict[str, Any]:
        began.append(action(session, staff=staff, now=clock.now()))
        return {}

    idempotency.change(schemas.NothingMore(), act, secret=True)
    return began[-1]


def may_enter(caller: Caller) -> bool:
    """Whether the caller may go in as support, where there is a grant."""
    return caller.is_staff and guard.OPERATIONS.allows(
        "support.enter", kind=caller.kind, role=caller.role
    )


def nobody(principal: str) -> dict[str, Any]:
    """Whoever acts as nobody in particular, where others are a person."""
    return {"id": principal, "email": None, "given_name": SUPPORT, "family_name": ""}


def is_serviced(organization_id: str) -> bool:
    """Whether the caller could go there only as support."""
    caller = current_caller()
    if not caller.is_staff or organization_id == caller.organization_id:
        return False
    with context.database().reading() as session:
        own = [place.organization.id for place in queries.places(session, caller.sub)]
        return (
            organization_id not in own
            and queries.provider_of(session, organization_id) == caller.organization_id
        )


def tokens_of(inside: Inside) -> dict[str, Any]:
    """What the staff member gets who steps in."""
    one = inside.acting
    claims = guard.claims_of_acting(inside)
    return {
        "access_token": resources.signer().sign(claims),
        "token_type": "Bearer",
        "act": one.act(),
        "expires_in": int((one.expires_at - one.started_at).total_seconds()),
        "organization": inside.organization,
        "member_id": one.member_id,
        "role": claims["role"],
        "scopes": claims["scope"].split(),
    }


def who_ends(caller: Caller) -> Any:
    """How the audit names whoever ends a stay: staff as support, so that the customer does not
    learn who."""
    return audit_log.support_actor(guard.staff_of(caller)) if caller.is_staff else caller.actor()
