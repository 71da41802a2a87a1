"""One-time codes, re-authentication and password changes of the caller."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import queries, schemas
from membership.actions import authenticators, logins, recovery
from membership.actions.logins import LoginAttempt
from membership.values import attempt_limits, passwords
from membership.values.lifetimes import REAUTHENTICATION
from membership.views import credentials, resources, sessions

blp = Blueprint(
    "proofs",
    __name__,
    url_prefix="/v1/me",
    description="Password, one-time codes and re-authentication",
)


@blp.route("/authenticators", methods=["GET"])
@requires("me.secure")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.AuthenticatorPage)
def list_authenticators(args: dict[str, Any]) -> dict[str, Any]:
    """List the caller's authenticators, oldest first; not one whose first code is outstanding."""
    identity_id = current_caller().sub
    with context.database().reading() as session:
        return paging.page(
            session,
            queries.authenticators_of(identity_id),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"authenticators {identity_id}",
        )


@blp.route("/totp", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.NewAuthenticator)
@blp.response(201, schemas.Enrolment)
def enroll(body: dict[str, Any]) -> Response:
    """Add an authenticator app, at most five: get its secret, shown only this once. Requires
    recent re-authentication, with a one-time code where they are on."""
    encryption, sid = credentials.encryption(), current_caller().sid
    return idempotency.change(
        schemas.Enrolment(),
        lambda session: authenticators.enroll(
            session,
            session_id=sid,
            name=body.get("name"),
            encryption=encryption,
            now=clock.now(),
        ),
        status=201,
        secret=True,
    )


@blp.route("/totp/confirm", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.OtpBody)
@blp.response(201, schemas.RecoveryCodes)
def confirm(body: dict[str, Any]) -> dict[str, Any]:
    """Confirm the authenticator with its first code. The first one turns one-time codes on and
    answers the recovery codes, shown only this once."""
    encryption, sid = credentials.encryption(), current_caller().sid
    codes = credentials.raise_failure(
        idempotency.retried(
            lambda session: authenticators.confirm(
                session, session_id=sid, otp=body["otp"], encryption=encryption, now=clock.now()
            )
        )
    )
    return {"recovery_codes": codes}


@blp.route("/recovery-codes", methods=["POST"])
@requires("me.secure")
@blp.response(201, schemas.RecoveryCodes)
def renew_recovery_codes() -> Response:
    """Create new recovery codes, shown only this once; the previous ones stop working. Requires
    recent re-authentication with a code."""
    encryption, sid = credentials.encryption(), current_caller().sid

    def act(session: Any) -> dict[str, Any]:
        codes = recovery.renew_codes(
            session, session_id=sid, encryption=encryption, now=clock.now()
        )
        return {"recovery_codes": codes}

    return idempotency.change(schemas.RecoveryCodes(), act, status=201, secret=True)


@blp.route("/totp", methods=["DELETE"])
@requires("me.secure")
@blp.response(204)
def switch_off() -> Response:
    """Turn one-time codes off and remove all authenticators. Requires recent re-authentication
    with a code."""
    sid = current_caller().sid
    idempotency.retried(
        lambda session: authenticators.switch_off(session, session_id=sid, now=clock.now())
    )
    return Response(status=204)


@blp.route("/totp/<authenticator_id>", methods=["DELETE"])
@requires("me.secure")
@blp.response(204)
def remove_authenticator(authenticator_id: str) -> Response:
    """Remove an authenticator. Every other session ends. Removing the last one turns one-time codes
    off. Requires recent re-authentication with a code."""
    sid = current_caller().sid
    idempotency.retried(
        lambda session: authenticators.remove(
            session, session_id=sid, authenticator_id=authenticator_id, now=clock.now()
        )
    )
    return Response(status=204)


@blp.route("/step-up", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.ProofBody)
@blp.response(201, schemas.FreshProof)
def step_up(body: dict[str, Any]) -> dict[str, Any]:
    """Re-authenticate for sensitive actions. Use the new access token for them."""
    tried, sid = attempt(body), current_caller().sid
    issued = credentials.raise_failure(
        idempotency.retried(
            lambda session: logins.step_up(session, attempt=tried, session_id=sid, now=clock.now())
        )
    )
    return sessions.tokens_of(issued) | {
        "proved_until": issued.login.authenticated_at + REAUTHENTICATION
    }


@blp.route("/password", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.NewPassword)
@blp.response(201, schemas.PasswordChanged)
def change_password(body: dict[str, Any]) -> dict[str, Any]:
    """Change the password. Every other session ends."""
    caller, new = current_caller(), body["new_password"]
    with context.database().reading() as session:
        identity = queries.identity(session, caller.sub)
        memberships = queries.memberships(session, caller.sub)
        with_codes = queries.has_one_time_codes(session, caller.sub)
    names = [membership.organization.name for membership in memberships]
    known = (identity.email or "", identity.given_name, identity.family_name, *names)
    tried = attempt(body)
    password_hash = resources.hasher().hash_new(
        new, context=known, with_codes=with_codes, pointer="/new_password"
    )
    credentials.raise_failure(
        idempotency.retried(
            lambda session: logins.change_password(
                session,
                attempt=tried,
                session_id=caller.sid,
                password_hash=password_hash,
                is_short=passwords.is_short(new),
                now=clock.now(),
            )
        )
    )
    return {"changed": True}


def attempt(body: dict[str, Any]) -> LoginAttempt:
    """The caller's attempt to authenticate within their session."""
    credentials.check_use(attempt_limits.step_ups(current_caller().sub))
    with context.database().reading() as session:
        email = queries.identity(session, current_caller().sub).email
    return credentials.attempt(email or "", body["password"], body.get("otp"))
