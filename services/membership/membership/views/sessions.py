"""Logging in and out."""

from typing import Any

from chassis import clock, here, paging, web
from chassis.body import Blueprint
from chassis.caller import public, requires, the_caller
from flask import Response

from membership import guard, queries, schemas
from membership.actions import sessions as actions
from membership.actions.sessions import InvalidCredentials, InvalidRefreshToken, Issued, Throttled
from membership.values.lifetimes import ACCESS
from membership.views import context

blp = Blueprint("sessions", __name__, url_prefix="/v1", description="Sessions")


@blp.route("/sessions", methods=["POST"])
@public
@blp.arguments(schemas.NewSession)
@blp.response(201, schemas.SessionTokens)
def create_session(body: dict[str, Any]) -> dict[str, Any]:
    """Log in."""
    now, hasher = clock.now(), context.hasher()
    with here.database().reading() as session:
        login = queries.login(session, body["email"], now)
    if login.wait:
        raise Throttled(retry_after=login.wait)
    matched = hasher.matches(login.password_hash, body["password"])
    dated = matched and login.password_hash is not None and hasher.is_dated(login.password_hash)
    new_hash = hasher.hash(body["password"]) if dated else None
    with here.database().transaction(correlation=web.request_id()) as session:
        issued = actions.log_in(
            session, email=body["email"], login=login, matched=matched, organization_id=body.get("organization_id"),
            limits=context.limits(), user_agent=context.user_agent(), new_hash=new_hash, now=clock.now(),
        )
    if issued is None:
        raise InvalidCredentials()
    return tokens_of(issued)


@blp.route("/sessions/refresh", methods=["POST"])
@public
@blp.arguments(schemas.RefreshBody)
@blp.response(201, schemas.SessionTokens)
def refresh_session(body: dict[str, Any]) -> dict[str, Any]:
    """Renew a session; the refresh token changes, and a used one ends the session."""
    with here.database().transaction(correlation=web.request_id()) as session:
        issued = actions.refresh_session(
            session, raw=body["refresh_token"], limits=context.limits(), now=clock.now()
        )
    if issued is None:
        raise InvalidRefreshToken()
    return tokens_of(issued)


@blp.route("/sessions/exchange", methods=["POST"])
@requires("session.exchange")
@blp.arguments(schemas.ExchangeBody)
@blp.response(201, schemas.SessionTokens)
def exchange_session(body: dict[str, Any]) -> dict[str, Any]:
    """A further session, in another organization of one's own."""
    with here.database().transaction(correlation=web.request_id()) as session:
        issued = actions.exchange_session(
            session, identity_id=the_caller().sub, session_id=the_caller().sid,
            organization_id=body["organization_id"], now=clock.now(), limits=context.limits(),
            user_agent=context.user_agent(),
        )
    return tokens_of(issued)


@blp.route("/sessions", methods=["GET"])
@requires("session.list")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.SessionPage)
def list_sessions(args: dict[str, Any]) -> dict[str, Any]:
    """One's own sessions, newest first."""
    caller = the_caller()

    def row(found: Any) -> dict[str, Any]:
        login, organization = found
        shown = ("id", "user_agent", "created_at", "last_used_at", "expires_at")
        return {name: getattr(login, name) for name in shown} | {
            "organization": organization, "current": login.id == caller.sid
        }

    with here.database().reading() as session:
        query = queries.open_sessions(caller.sub, clock.now())
        return paging.page(
            session, query, limit=args["limit"], cursor=args.get("cursor"), order=f"sessions {caller.sub}", row=row
        )


@blp.route("/sessions/<session_id>", methods=["DELETE"])
@requires("session.end")
@blp.response(204)
def end_session(session_id: str) -> Response:
    """End one of one's own sessions; ``current`` is this one."""
    caller = the_caller()
    wanted = caller.sid if session_id == "current" else session_id
    with here.database().transaction(correlation=web.request_id()) as session:
        actions.end_session(session, session_id=wanted, identity_id=caller.sub, now=clock.now())
    return Response(status=204)


def tokens_of(issued: Issued) -> dict[str, Any]:
    """What the holder of a session gets."""
    claims = guard.claims(issued, issued.login.last_used_at)
    return {
        "access_token": context.signer().sign(claims), "token_type": "Bearer",
        "expires_in": int(ACCESS.total_seconds()), "refresh_token": issued.refresh_token,
        "identity": issued.identity, "organization": issued.place.organization, "role": claims["role"],
        "scopes": claims["scope"].split(),
    }
