"""Login sessions: sign in, refresh, switch and sign out."""

import json
from typing import Any

from chassis.auth.access import current_caller, permit, public, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import guard, queries, schemas
from membership.actions import logins, logouts, refreshes
from membership.actions import sessions as actions
from membership.actions.refreshes import InvalidRefreshToken
from membership.actions.sessions import Issued
from membership.queries.support import ActiveSession
from membership.values import attempt_limits
from membership.values.lifetimes import ACCESS_TOKEN
from membership.views import credentials, keys, resources, support

blp = Blueprint("sessions", __name__, url_prefix="/v1", description="Sessions")


@blp.route("/sessions", methods=["POST"])
@public
@blp.arguments(schemas.NewSession)
@blp.response(201, schemas.SessionTokens)
def create_session(body: dict[str, Any]) -> dict[str, Any]:
    """Sign in with a password, or authenticate with an API key."""
    if "api_key" in body:
        with credentials.throttled("key"):
            return keys.tokens_of(body["api_key"])
    attempt = credentials.attempt(body["email"], body["password"], body.get("otp"))
    return tokens_of(
        credentials.raise_failure(
            idempotency.retried(
                lambda session: logins.log_in(
                    session,
                    attempt=attempt,
                    organization_id=body.get("organization_id"),
                    limits=resources.limits(),
                    device=resources.device(),
                    now=clock.now(),
                )
            )
        )
    )


@blp.route("/sessions/refresh", methods=["POST"])
@public
@blp.arguments(schemas.RefreshBody)
@blp.response(201, schemas.SessionTokens)
def refresh_session(body: dict[str, Any]) -> dict[str, Any]:
    """Refresh a session. The refresh token is replaced. Using it again gets the same response for
    ten seconds; after that it ends the session."""
    with credentials.throttled("refresh"):
        outcome = idempotency.retried(
            lambda session: refreshes.refresh_session(
                session,
                raw=body["refresh_token"],
                limits=resources.limits(),
                device=resources.device(),
                answer=lambda issued: schemas.SessionTokens().dumps(tokens_of(issued)),
                now=clock.now(),
            )
        )
        if outcome is None:
            raise InvalidRefreshToken()
    answer: dict[str, Any] = json.loads(credentials.raise_failure(outcome))
    return answer


@blp.route("/sessions/exchange", methods=["POST"])
@requires("session.exchange")
@blp.arguments(schemas.ExchangeBody)
@blp.response(201, schemas.SessionTokens)
def exchange_session(body: dict[str, Any]) -> dict[str, Any]:
    """Switch to another of the caller's organizations. Staff may also switch to customers that
    they may enter as support. A live session that came from the same login is used again."""
    credentials.check_use(attempt_limits.exchanges(current_caller().sub))
    if support.is_entered_as_support(body["organization_id"]):
        permit("support.enter", body["organization_id"])
        return _tokens_of_support(support.enter_as_support(body["organization_id"], None, None))
    caller = current_caller()
    return tokens_of(
        idempotency.retried(
            lambda session: actions.exchange_session(
                session,
                identity_id=caller.sub,
                session_id=caller.sid,
                organization_id=body["organization_id"],
                limits=resources.limits(),
                device=resources.device(),
                now=clock.now(),
            )
        )
    )


@blp.route("/sessions", methods=["GET"])
@requires("session.list")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.SessionPage)
def list_sessions(args: dict[str, Any]) -> dict[str, Any]:
    """List the caller's sessions, newest first, including those in which support acts as the
    caller."""
    caller = current_caller()

    def shown(row: Any) -> dict[str, Any]:
        names = ("id", "user_agent", "client_address", "created_at", "last_used_at", "expires_at")
        return {name: getattr(row, name) for name in names} | {
            "organization": row.Organization,
            "current": row.id == caller.sid,
        }

    with context.database().reading() as session:
        query = queries.sessions_of(caller.sub, clock.now())
        return paging.page(
            session,
            query,
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"sessions {caller.sub}",
            row=shown,
        )


@blp.route("/sessions/<session_id>", methods=["DELETE"])
@requires("session.end")
@blp.response(204)
def end_session(session_id: str) -> Response:
    """End one of the caller's sessions, or one in which support acts as the caller. ``current``
    is the session of the request."""
    caller = current_caller()
    wanted = caller.sid if session_id == "current" else session_id
    if wanted != caller.sid:
        permit("session.end_others", caller.organization_id)
    identity_id = caller.act["sub"] if caller.act else caller.sub
    idempotency.retried(
        lambda session: logouts.end_session(
            session,
            session_id=wanted,
            identity_id=identity_id,
            by=support.ending_actor(caller),
            now=clock.now(),
        )
    )
    return Response(status=204)


@blp.route("/sessions", methods=["DELETE"])
@requires("session.end_others")
@blp.response(204)
def end_others() -> Response:
    """End all of the caller's sessions except this one."""
    caller = current_caller()
    idempotency.retried(
        lambda session: logouts.end_sessions(
            session, identity_id=caller.sub, spare=caller.sid, why="signed_out", now=clock.now()
        )
    )
    return Response(status=204)


def tokens_of(issued: Issued) -> dict[str, Any]:
    """The response for a session: its tokens and whom they are for."""
    claims = guard.claims(issued, issued.login.last_used_at)
    tokens = {
        "access_token": resources.signer().sign(claims),
        "token_type": "Bearer",
        "expires_in": int(ACCESS_TOKEN.total_seconds()),
        "identity": issued.identity,
        "organization": issued.membership.organization,
        "role": claims["role"],
        "scopes": claims["scope"].split(),
    }
    if issued.refresh_token:
        tokens["refresh_token"] = issued.refresh_token
    return tokens


def _tokens_of_support(active: ActiveSession) -> dict[str, Any]:
    identity = support.support_identity(active.acting.principal)
    return support.tokens_of(active) | {"identity": identity}
