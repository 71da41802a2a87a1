"""Logging in and out."""

from typing import Any

from chassis.auth.access import current_caller, permit, public, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import guard, queries, schemas
from membership.actions import logins
from membership.actions import sessions as actions
from membership.actions.sessions import InvalidRefreshToken, Issued
from membership.queries.support import Inside
from membership.values.lifetimes import ACCESS
from membership.views import credentials, keys, resources, support

blp = Blueprint("sessions", __name__, url_prefix="/v1", description="Sessions")


@blp.route("/sessions", methods=["POST"])
@public
@blp.arguments(schemas.NewSession)
@blp.response(201, schemas.SessionTokens)
def create_session(body: dict[str, Any]) -> dict[str, Any]:
    """Log in, or come in with an API key."""
    if "api_key" in body:
        with credentials.looking_up():
            return keys.tokens_of(body["api_key"])
    attempt = credentials.attempt(body["email"], body["password"], body.get("otp"))
    return tokens_of(
        credentials.settled(
            idempotency.retried(
                lambda session: logins.log_in(
                    session,
                    attempt=attempt,
                    organization_id=body.get("organization_id"),
                    limits=resources.limits(),
                    user_agent=resources.user_agent(),
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
    """Renew a session; the refresh token changes, and a used one ends the session."""
    with credentials.looking_up():
        issued = idempotency.retried(
            lambda session: actions.refresh_session(
                session, raw=body["refresh_token"], limits=resources.limits(), now=clock.now()
            )
        )
        if issued is None:
            raise InvalidRefreshToken()
    return tokens_of(issued)


@blp.route("/sessions/exchange", methods=["POST"])
@requires("session.exchange")
@blp.arguments(schemas.ExchangeBody)
@blp.response(201, schemas.SessionTokens)
def exchange_session(body: dict[str, Any]) -> dict[str, Any]:
    """A further session, in another organization of one's own; for staff also in one they may enter
    as support."""
    if support.is_serviced(body["organization_id"]):
        permit("support.enter", body["organization_id"])
        return _tokens_of_support(support.go_in(body["organization_id"], None, None))
    caller = current_caller()
    return tokens_of(
        idempotency.retried(
            lambda session: actions.exchange_session(
                session,
                identity_id=caller.sub,
                session_id=caller.sid,
                organization_id=body["organization_id"],
                limits=resources.limits(),
                user_agent=resources.user_agent(),
                now=clock.now(),
            )
        )
    )


@blp.route("/sessions", methods=["GET"])
@requires("session.list")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.SessionPage)
def list_sessions(args: dict[str, Any]) -> dict[str, Any]:
    """One's own sessions, newest first; also those of support that acts as oneself."""
    caller = current_caller()

    def row(found: Any) -> dict[str, Any]:
        shown = ("id", "user_agent", "created_at", "last_used_at", "expires_at")
        return {name: getattr(found, name) for name in shown} | {
            "organization": found.Organization,
            "current": found.id == caller.sid,
        }

    with context.database().reading() as session:
        query = queries.sessions_of(caller.sub, clock.now())
        return paging.page(
            session,
            query,
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"sessions {caller.sub}",
            row=row,
        )


@blp.route("/sessions/<session_id>", methods=["DELETE"])
@requires("session.end")
@blp.response(204)
def end_session(session_id: str) -> Response:
    """End one of one's own sessions, or one in which support acts as oneself; ``current`` is this
    one."""
    caller = current_caller()
    wanted = caller.sid if session_id == "current" else session_id
    if wanted != caller.sid:
        permit("session.end_others", caller.organization_id)
    whose = caller.act["sub"] if caller.act else caller.sub
    idempotency.retried(
        lambda session: actions.end_session(
            session,
            session_id=wanted,
            identity_id=whose,
            by=support.who_ends(caller),
            now=clock.now(),
        )
    )
    return Response(status=204)


@blp.route("/sessions", methods=["DELETE"])
@requires("session.end_others")
@blp.response(204)
def end_others() -> Response:
    """End all of one's own sessions but this one."""
    caller = current_caller()
    idempotency.retried(
        lambda session: actions.end_sessions(
            session, identity_id=caller.sub, spare=caller.sid, why="signed_out", now=clock.now()
        )
    )
    return Response(status=204)


def tokens_of(issued: Issued) -> dict[str, Any]:
    """What the holder of a session gets."""
    claims = guard.claims(issued, issued.login.last_used_at)
    tokens = {
        "access_token": resources.signer().sign(claims),
        "token_type": "Bearer",
        "expires_in": int(ACCESS.total_seconds()),
        "identity": issued.identity,
        "organization": issued.place.organization,
        "role": claims["role"],
        "scopes": claims["scope"].split(),
    }
    return tokens | ({"refresh_token": issued.refresh_token} if issued.refresh_token else {})


def _tokens_of_support(inside: Inside) -> dict[str, Any]:
    return support.tokens_of(inside) | {"identity": support.nobody(inside.acting.principal)}
