"""Links in emails, and requests for a new one."""

from typing import Any

from chassis import email_addresses
from chassis.auth.access import optional_caller, public
from chassis.http import context, idempotency
from chassis.http.parsing import Blueprint
from chassis.runtime import clock

from membership import queries, schemas
from membership.actions import invitations, mails, verifications
from membership.queries import Link
from membership.views import credentials, resources

blp = Blueprint("links", __name__, url_prefix="/v1", description="Links in emails")


@blp.route("/verifications/<token>", methods=["GET"])
@public
@blp.response(200, schemas.LinkInfo)
def show_verification(token: str) -> dict[str, Any]:
    """Show what a link does. Reading it does not use it."""
    return _shown(_look(token, verifications.VERIFICATION_LINKS))


@blp.route("/verifications/<token>", methods=["POST"])
@public
@blp.arguments(schemas.VerificationBody)
@blp.response(201, schemas.Verified)
def verify(body: dict[str, Any], token: str) -> dict[str, Any]:
    """Verify an address and join, choosing a password only if the person has none; or undo an
    address change, or stop a transfer of ownership."""
    link = _look(token, verifications.VERIFICATION_LINKS)
    if "password" in body:
        verifications.check_password_expected(link)
    password_hash = _hashed(link, body.get("password"))
    signed_in = optional_caller()
    link = idempotency.retried(
        lambda session: verifications.verify_member(
            session,
            raw=token,
            password_hash=password_hash,
            chosen=body,
            signed_in_as=signed_in.sub if signed_in else None,
            now=clock.now(),
        )
    )
    return {
        "verified": True,
        "email": link.token.email,
        "organization": link.organization,
        "member_id": link.token.member_id,
    }


@blp.route("/verifications/<token>/renewal", methods=["POST"])
@public
@blp.response(202, schemas.Accepted)
def ask_for_renewal(token: str) -> dict[str, Any]:
    """Ask for a new link to replace one that is no longer valid. The response is the same for
    any token."""
    idempotency.retried(
        lambda session: invitations.ask_for_renewal(session, raw=token, now=clock.now())
    )
    return {"accepted": True}


@blp.route("/password-resets", methods=["POST"])
@public
@blp.arguments(schemas.ResetRequest)
@blp.response(202, schemas.Accepted)
def request_reset(body: dict[str, Any]) -> dict[str, Any]:
    """Request a password reset. The response is the same whether or not the address is known."""
    client = credentials.client()
    idempotency.retried(
        lambda session: mails.queue_password_reset(
            session, email=email_addresses.key(body["email"]), client=client, now=clock.now()
        )
    )
    return {"accepted": True}


@blp.route("/password-resets/<token>", methods=["GET"])
@public
@blp.response(200, schemas.LinkInfo)
def show_reset(token: str) -> dict[str, Any]:
    """Show whether a link can still be used. Reading it does not use it."""
    return _shown(_look(token, verifications.RESET_LINKS))


@blp.route("/password-resets/<token>", methods=["POST"])
@public
@blp.arguments(schemas.ResetBody)
@blp.response(201, schemas.ResetDone)
def reset_password(body: dict[str, Any], token: str) -> dict[str, Any]:
    """Set a new password. Every session of the person ends."""
    password_hash = _hashed(_look(token, verifications.RESET_LINKS), body["password"]) or ""
    link = idempotency.retried(
        lambda session: verifications.reset_password(
            session, raw=token, password_hash=password_hash, now=clock.now()
        )
    )
    return {"reset": True, "email": link.token.email}


@blp.route("/mfa-resets/<token>", methods=["GET"])
@public
@blp.response(200, schemas.LinkInfo)
def show_codes_reset(token: str) -> dict[str, Any]:
    """Show whether a link can still be used. Reading it does not use it."""
    return _shown(_look(token, verifications.CODES_LINKS))


@blp.route("/mfa-resets/<token>", methods=["POST"])
@public
@blp.arguments(schemas.CodesResetBody)
@blp.response(201, schemas.CodesReset)
def reset_codes(body: dict[str, Any], token: str) -> dict[str, Any]:
    """Turn off one's one-time codes, with the password. Every session of the person ends. A
    password that is too short without codes has to be reset afterwards."""
    link = _look(token, verifications.CODES_LINKS)
    attempt = credentials.attempt(link.token.email, body["password"], None)
    unknown_hash = resources.unknown_hash()
    link = credentials.raise_failure(
        idempotency.retried(
            lambda session: verifications.reset_codes(
                session, raw=token, attempt=attempt, unknown_hash=unknown_hash, now=clock.now()
            )
        )
    )
    return {"reset": True, "email": link.token.email}


def _look(token: str, purposes: tuple[str, ...]) -> Link:
    with credentials.throttled("link"), context.database().reading() as session:
        return queries.link(session, token, purposes, clock.now())


def _shown(link: Link) -> dict[str, Any]:
    return {
        "email": link.token.email,
        "organization": link.organization,
        "purpose": link.token.purpose,
        "password_required": link.needs_password,
        "expires_at": link.token.expires_at,
    }


def _hashed(link: Link, password: str | None) -> str | None:
    """The hash of an acceptable password, made before any lock is taken. Raises Invalid."""
    if password is None:
        return None
    identity = link.holder or link.identity
    with context.database().reading() as session:
        names = [
            membership.organization.name for membership in queries.memberships(session, identity.id)
        ]
        with_codes = queries.has_one_time_codes(session, identity.id)
    if link.member is not None:
        names.append(link.member.name)
    known = (link.token.email, identity.given_name, identity.family_name, *names)
    return resources.hasher().hash_new(password, context=known, with_codes=with_codes)
