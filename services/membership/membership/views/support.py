"""Login As and Remote Support."""

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
from membership.actions import audit_log, login_as, remote_support, support_grants
from membership.queries import support as support_queries
from membership.queries.support import ActiveSession
from membership.values.support import SUPPORT
from membership.views import resources

blp = Blueprint("support", __name__, url_prefix="/v1", description="Login As and Remote Support")
_SUPPORT = "/organizations/<organization_id>/remote-support"


@blp.route("/organizations/<organization_id>/members/<member_id>/login-as", methods=["POST"])
@requires("member.login_as")
@blp.arguments(schemas.LoginAsBody)
@blp.response(201, schemas.ActingTokens)
def log_in_as(body: dict[str, Any], organization_id: str, member_id: str) -> dict[str, Any]:
    """Log in as a member for half an hour. Everything done is recorded under both names."""
    return tokens_of(
        begin_session(
            lambda session, **who: login_as.log_in_as(
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
    """Request access to a customer's organization. It is granted at once where the provider
    manages the organization; otherwise the customer has to approve it."""
    staff = guard.staff_of(current_caller())
    return idempotency.change(
        schemas.Grant(),
        lambda session: schemas.grant_for(
            support_grants.request_grant(
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
    """List the grants, newest first, and the active support sessions."""
    masked = not current_caller().is_staff
    with context.database().reading() as session:
        active = support_queries.active_sessions_in(session, organization_id, clock.now())
        return paging.page(
            session,
            support_queries.grants(organization_id),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"grants {organization_id}",
            row=lambda row: schemas.grant_for(row[0], masked=masked),
        ) | {"inside": [schemas.active_session_for(row, masked=masked) for row in active]}


@blp.route("/remote-support", methods=["GET"])
@requires("support.overview")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.GrantPage)
def list_active_grants(args: dict[str, Any]) -> dict[str, Any]:
    """List the customers that support may enter now, and the active support sessions."""
    provider_id, now = current_caller().organization_id, clock.now()
    with context.database().reading() as session:
        active = support_queries.active_sessions_of(session, provider_id, now)
        return paging.page(
            session,
            support_queries.active_grants(provider_id, now),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"live grants {provider_id}",
            row=lambda row: schemas.grant_for(row[0], masked=False),
        ) | {"inside": [schemas.active_session_for(row, masked=False) for row in active]}


@blp.route(f"{_SUPPORT}/<grant_id>/approve", methods=["POST"])
@requires("support.consent")
@blp.arguments(schemas.NothingMore)
@blp.response(200, schemas.Grant)
def approve_grant(_body: dict[str, Any], organization_id: str, grant_id: str) -> Response:
    """Approve a request for access. The granted time runs from now."""
    by = current_caller().actor()
    return idempotency.change(
        schemas.Grant(),
        lambda session: schemas.grant_for(
            support_grants.approve_grant(
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
    """Enter under a grant, for at most an hour. The customer sees "Support", not which staff
    member it is."""
    return tokens_of(enter_as_support(organization_id, grant_id, body.get("reason")))


@blp.route(f"{_SUPPORT}/<grant_or_session_id>", methods=["DELETE"])
@requires("support.end")
@blp.response(204)
def end_access(organization_id: str, grant_or_session_id: str) -> Response:
    """End a grant with every session under it, or a single support or Login As session."""
    caller = current_caller()
    idempotency.retried(
        lambda session: support_grants.end_access(
            session,
            organization_id=organization_id,
            grant_or_session_id=grant_or_session_id,
            by=ending_actor(caller),
            now=clock.now(),
            staff=guard.staff_of(caller) if caller.is_staff else None,
        )
    )
    return Response(status=204)


def enter_as_support(
    organization_id: str, grant_id: str | None, reason: str | None
) -> ActiveSession:
    """Enter a customer's organization by Remote Support."""
    return begin_session(
        lambda session, **who: remote_support.enter(
            session, organization_id=organization_id, grant_id=grant_id, reason=reason, **who
        )
    )


def begin_session(action: Callable[..., ActiveSession]) -> ActiveSession:
    """Begin an acting session. It is committed before there is a token."""
    began: list[ActiveSession] = []
    staff = guard.staff_of(current_caller())

    def act(session: Session) -> dict[str, Any]:
        began.append(action(session, staff=staff, now=clock.now()))
        return {}

    idempotency.change(schemas.NothingMore(), act, secret=True)
    return began[-1]


def may_enter(caller: Caller) -> bool:
    """Whether the caller may enter by Remote Support where there is a grant."""
    return caller.is_staff and guard.OPERATIONS.allows(
        "support.enter", kind=caller.kind, role=caller.role
    )


def support_identity(principal: str) -> dict[str, Any]:
    """The identity shown for a Remote Support session, which acts as no member."""
    return {
        "id": principal,
        "email": None,
        "given_name": SUPPORT,
        "family_name": "",
        "pending_email": None,
    }


def is_entered_as_support(organization_id: str) -> bool:
    """Whether the caller can enter this organization only by Remote Support."""
    caller = current_caller()
    if not caller.is_staff or organization_id == caller.organization_id:
        return False
    with context.database().reading() as session:
        own = [
            membership.organization.id for membership in queries.memberships(session, caller.sub)
        ]
        return (
            organization_id not in own
            and queries.provider_of(session, organization_id) == caller.organization_id
        )


def tokens_of(active: ActiveSession) -> dict[str, Any]:
    """The tokens of an acting session."""
    acting = active.acting
    claims = guard.claims_of_acting(active)
    return {
        "access_token": resources.signer().sign(claims),
        "token_type": "Bearer",
        "act": acting.act(),
        "expires_in": int((acting.expires_at - acting.started_at).total_seconds()),
        "organization": active.organization,
        "member_id": acting.member_id,
        "role": claims["role"],
        "scopes": claims["scope"].split(),
    }


def ending_actor(caller: Caller) -> Any:
    """The actor recorded when access is ended. Staff appear as support, so that the customer does
    not see who."""
    return audit_log.support_actor(guard.staff_of(caller)) if caller.is_staff else caller.actor()
