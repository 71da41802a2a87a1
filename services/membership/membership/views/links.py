"""The links in mails, and asking for one."""

from typing import Any

from chassis import clock, here, web
from chassis.body import Blueprint
from chassis.caller import public

from membership import queries, schemas
from membership.actions import mails, verifications
from membership.queries import Link
from membership.values import addresses, passwords
from membership.views import context

blp = Blueprint("links", __name__, url_prefix="/v1", description="Mailed links")


@blp.route("/verifications/<token>", methods=["GET"])
@public
@blp.response(200, schemas.LinkInfo)
def show_verification(token: str) -> dict[str, Any]:
    """What a link in a mail is good for; looking does not use it."""
    return _shown(_look(token, verifications.PROOFS))


@blp.route("/verifications/<token>", methods=["POST"])
@public
@blp.arguments(schemas.VerificationBody)
@blp.response(201, schemas.Verified)
def verify(body: dict[str, Any], token: str) -> dict[str, Any]:
    """Prove an address, join, and choose a password."""
    password_hash = _hashed(_look(token, verifications.PROOFS), body.get("password"))
    with here.database().transaction(correlation=web.request_id()) as session:
        link = verifications.verify_member(session, raw=token, password_hash=password_hash, now=clock.now())
    return {
        "verified": True, "email": link.token.email, "organization": link.organization,
        "member_id": link.token.member_id,
    }


@blp.route("/password-resets", methods=["POST"])
@public
@blp.arguments(schemas.ResetRequest)
@blp.response(202, schemas.Accepted)
def request_reset(body: dict[str, Any]) -> dict[str, Any]:
    """Ask for a new password; the answer is the same whether or not the address is known."""
    with here.database().transaction(correlation=web.request_id()) as session:
        mails.queue_reset(session, email=addresses.key(body["email"]), now=clock.now())
    return {"accepted": True}


@blp.route("/password-resets/<token>", methods=["GET"])
@public
@blp.response(200, schemas.LinkInfo)
def show_reset(token: str) -> dict[str, Any]:
    """Whether a link can still be used; looking does not use it."""
    return _shown(_look(token, verifications.RESETS))


@blp.route("/password-resets/<token>", methods=["POST"])
@public
@blp.arguments(schemas.ResetBody)
@blp.response(201, schemas.ResetDone)
def reset_password(body: dict[str, Any], token: str) -> dict[str, Any]:
    """Choose a new password; every session ends."""
    password_hash = _hashed(_look(token, verifications.RESETS), body["password"]) or ""
    with here.database().transaction(correlation=web.request_id()) as session:
        link = verifications.reset_password(session, raw=token, password_hash=password_hash, now=clock.now())
    return {"reset": True, "email": link.token.email}


def _look(token: str, purposes: tuple[str, ...]) -> Link:
    with here.database().reading() as session:
        return queries.link(session, token, purposes, clock.now())


def _shown(link: Link) -> dict[str, Any]:
    return {
        "email": link.token.email, "organization": link.organization, "purpose": link.token.purpose,
        "password_required": link.identity.password_hash is None or link.member is None,
        "expires_at": link.token.expires_at,
    }


def _hashed(link: Link, password: str | None) -> str | None:
    """The hash of an acceptable password, made before any lock is taken. Raises Invalid."""
    if password is None:
        return None
    words = [link.token.email.partition("@")[0]]
    if link.organization is not None:
        words.append(link.organization.name)
    passwords.check(password, context=words)
    return context.hasher().hash(password)
