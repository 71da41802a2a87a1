"""Authenticators: turn one-time codes on and off."""

from dataclasses import dataclass
from datetime import datetime

from chassis import errors
from chassis.auth.callers import StepUpRequired
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import logouts, mails
from membership.actions import one_time_codes as codes
from membership.models import TOTP, Authenticator, LoginSession
from membership.values import one_time_codes
from membership.values.encryption import Encryption
from membership.values.lifetimes import REAUTHENTICATION
from membership.values.mails import CODES_OFF, CODES_ON

DEFAULT_NAME = "Authenticator app"


class InvalidCode(errors.Invalid):
    code = "invalid_otp"
    detail = "The one-time code is wrong or was already used. Wait for the next one."


class AlreadyOn(errors.Conflict):
    code = "already_on"
    detail = "One-time codes are already on. Turn them off first: DELETE /v1/me/totp."


class MfaRequired(errors.Conflict):
    code = "mfa_required"
    detail = "An organization that you belong to requires one-time codes. You cannot turn them off."


@dataclass(frozen=True)
class Enrolment:
    """A secret for an authenticator app, shown this once."""

    secret: str
    uri: str


def enroll(
    session: Session, *, session_id: str, encryption: Encryption, now: datetime
) -> Enrolment:
    """A new secret. Codes are not required until it is confirmed. Raises TokenRevoked,
    StepUpRequired, AlreadyOn."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    if login.authenticated_at <= now - REAUTHENTICATION:
        raise StepUpRequired()
    if queries.authenticators(session, identity.id):
        raise AlreadyOn()
    secret = one_time_codes.new_secret()
    authenticator = queries.unconfirmed_authenticator(session, identity.id)
    authenticator = authenticator or Authenticator(id=ids.new("aut"), identity_id=identity.id)
    authenticator.kind, authenticator.name, authenticator.created_at = TOTP, DEFAULT_NAME, now
    authenticator.secret = encryption.encrypt(secret, owner=identity.id)
    authenticator.last_step = 0
    session.add(authenticator)
    identity.code_failures, identity.codes_blocked_until = 0, None
    email = identity.email or ""
    return Enrolment(
        secret, one_time_codes.uri(secret, email=email, issuer=membership.organization.name)
    )


def confirm(
    session: Session, *, session_id: str, otp: str, encryption: Encryption, now: datetime
) -> list[str] | errors.Failure:
    """Turn the codes on and end every other session; returns the recovery codes, shown this
    once. A wrong code is counted and returned, not raised.

    Raises TokenRevoked, NotEnrolled, AlreadyOn, TooManyAttempts."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    if queries.authenticators(session, identity.id):
        raise AlreadyOn()
    authenticator = queries.unconfirmed_authenticator(session, identity.id)
    if authenticator is None:
        raise codes.NotEnrolled()
    if not codes.use_code(identity, [authenticator], otp, encryption, now):
        return InvalidCode(
            errors=[{"pointer": "/otp", "code": InvalidCode.code, "detail": InvalidCode().detail}]
        )
    authenticator.confirmed_at, login.with_otp = now, True
    fresh = codes.add_recovery_codes(session, identity.id, encryption)
    _end_others(session, login, now)
    codes.record_and_notify(session, "mfa.enabled", CODES_ON, identity, membership, now)
    return fresh


def switch_off(session: Session, *, session_id: str, now: datetime) -> None:
    """Turn the codes off, delete the recovery codes and end every other session. Requires a
    recent re-authentication with a code.

    Raises TokenRevoked, NotEnrolled, MfaRequired, PasswordTooShort, StepUpRequired."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    if queries.authenticators(session, identity.id):
        if login.authenticated_at <= now - REAUTHENTICATION or not login.with_otp:
            raise StepUpRequired()
        if queries.needs_codes(session, identity.id):
            raise MfaRequired()
        if identity.short_password:
            raise codes.PasswordTooShort()
        _end_others(session, login, now)
        codes.record_and_notify(session, "mfa.disabled", CODES_OFF, identity, membership, now)
    elif queries.unconfirmed_authenticator(session, identity.id) is None:
        raise codes.NotEnrolled("One-time codes are not turned on. There is nothing to turn off.")
    codes.delete_codes(session, identity_id=identity.id)


def _end_others(session: Session, login: LoginSession, now: datetime) -> None:
    """The codes are switched: end the other sessions, and the links that turn the codes off."""
    mails.supersede_codes_links(session, identity_id=login.identity_id, now=now)
    logouts.end_sessions(
        session, identity_id=login.identity_id, spare=login.id, why="codes_switched", now=now
    )
