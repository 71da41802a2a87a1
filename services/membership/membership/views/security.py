"""One-time codes, fresh proofs, and another password."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import queries, schemas
from membership.actions import logins, one_time_codes
from membership.actions.logins import Attempt
from membership.values import passwords
from membership.values.lifetimes import PROOF
from membership.views import credentials, resources, sessions

blp = Blueprint("proofs", __name__, url_prefix="/v1/me", description="Oneself")


@blp.route("/totp", methods=["POST"])
@requires("me.secure")
@blp.response(201, schemas.Enrolment)
def enrol() -> Response:
    """Begin with one-time codes: the secret for an authenticator app, shown this once; wants a
    fresh proof."""
    sealer, sid = credentials.sealer(), current_caller().sid
    return idempotency.change(
        schemas.Enrolment(),
        lambda session: one_time_codes.enrol(
            session, session_id=sid, sealer=sealer, now=clock.now()
        ),
        status=201,
        secret=True,
    )


@blp.route("/totp/confirm", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.OtpBody)
@blp.response(201, schemas.RecoveryCodes)
def confirm(body: dict[str, Any]) -> dict[str, Any]:
    """Switch one-time codes on; the recovery codes are shown this once."""
    sealer, sid = credentials.sealer(), current_caller().sid
    codes = credentials.settled(
        idempotency.retried(
            lambda session: one_time_codes.confirm(
                session, session_id=sid, otp=body["otp"], sealer=sealer, now=clock.now()
            )
        )
    )
    return {"recovery_codes": codes}


@blp.route("/totp", methods=["DELETE"])
@requires("me.secure")
@blp.response(204)
def switch_off() -> Response:
    """Switch one-time codes off; wants a fresh proof by one of them."""
    sid = current_caller().sid
    idempotency.retried(
        lambda session: one_time_codes.switch_off(session, session_id=sid, now=clock.now())
    )
    return Response(status=204)


@blp.route("/step-up", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.ProofBody)
@blp.response(201, schemas.FreshProof)
def step_up(body: dict[str, Any]) -> dict[str, Any]:
    """Prove again that it is you, for what is dangerous; the access token says so."""
    attempt, sid = _attempt(body), current_caller().sid
    issued = credentials.settled(
        idempotency.retried(
            lambda session: logins.step_up(
                session, attempt=attempt, session_id=sid, now=clock.now()
            )
        )
    )
    return sessions.tokens_of(issued) | {"proved_until": issued.login.proved_at + PROOF}


@blp.route("/password", methods=["POST"])
@requires("me.secure")
@blp.arguments(schemas.NewPassword)
@blp.response(201, schemas.PasswordChanged)
def change_password(body: dict[str, Any]) -> dict[str, Any]:
    """Choose another password; every other session ends."""
    caller, new = current_caller(), body["new_password"]
    with context.database().reading() as session:
        identity, places = (
            queries.identity(session, caller.sub),
            queries.places(session, caller.sub),
        )
        with_codes = queries.has_codes(session, caller.sub)
    names = [place.organization.name for place in places]
    known = (identity.email or "", identity.given_name, identity.family_name, *names)
    passwords.check(new, context=known, with_codes=with_codes, pointer="/new_password")
    attempt = _attempt(body)
    password_hash = resources.hasher().hash(new)
    credentials.settled(
        idempotency.retried(
            lambda session: logins.change_password(
                session,
                attempt=attempt,
                session_id=caller.sid,
                password_hash=password_hash,
                is_short=passwords.is_short(new),
                now=clock.now(),
            )
        )
    )
    return {"changed": True}


def _attempt(body: dict[str, Any]) -> Attempt:
    with context.database().reading() as session:
        email = queries.identity(session, current_caller().sub).email
    return credentials.attempt(email or "", body["password"], body.get("otp"))
