"""A person's authenticators: add and remove them. The first turns one-time codes on, the removal of
the last turns them off."""

from dataclasses import dataclass
from datetime import datetime

from chassis import errors
from chassis.auth.callers import StepUpRequired
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import logouts, mails
from membership.actions import one_time_codes as codes
from membership.models import TOTP, Authenticator, Identity, LoginSession
from membership.queries import Membership
from membership.values import one_time_codes
from membership.values.encryption import Encryption
from membership.values.lifetimes import REAUTHENTICATION
from membership.values.mails import AUTHENTICATOR_ADDED, AUTHENTICATOR_REMOVED, CODES_OFF, CODES_ON

DEFAULT_NAME = "Authenticator app"
MAX_AUTHENTICATORS = 5


class InvalidCode(errors.Invalid):
    code = "invalid_otp"
    detail = "The one-time code is wrong or was already used. Wait for the next one."


class TooManyAuthenticators(errors.Conflict):
    code = "too_many_authenticators"
    detail = (
        f"You have {MAX_AUTHENTICATORS} authenticators, the maximum. Remove one first: "
        "DELETE /v1/me/totp/{id}."
    )


class NoSuchAuthenticator(errors.NotFound):
    code = "not_found"
    detail = "You have no such authenticator. See GET /v1/me/authenticators."


class MfaRequired(errors.Conflict):
    code = "mfa_required"
    detail = "An organization that you belong to requires one-time codes. You cannot turn them off."


@dataclass(frozen=True)
class Enrolment:
    """A secret for an authenticator app, shown this once."""

    secret: str
    uri: str


def enroll(
    session: Session, *, session_id: str, name: str | None, encryption: Encryption, now: datetime
) -> Enrolment:
    """A new secret, which replaces one that was not confirmed. Its codes count once it is
    confirmed. Requires a recent re-authentication, with a code where codes are on. Raises
    TokenRevoked, StepUpRequired, TooManyAuthenticators."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    known = queries.authenticators(session, identity.id)
    _check_authentication(login, now, with_code=bool(known))
    if len(known) >= MAX_AUTHENTICATORS:
        raise TooManyAuthenticators()
    if not known:
        identity.code_failures, identity.codes_blocked_until = 0, None
    secret = one_time_codes.new_secret()
    authenticator = queries.unconfirmed_authenticator(session, identity.id)
    authenticator = authenticator or Authenticator(id=ids.new("aut"), identity_id=identity.id)
    authenticator.kind, authenticator.name = TOTP, name or DEFAULT_NAME
    authenticator.secret = encryption.encrypt(secret, owner=identity.id)
    authenticator.last_step, authenticator.created_at = 0, now
    session.add(authenticator)
    email = identity.email or ""
    return Enrolment(
        secret, one_time_codes.uri(secret, email=email, issuer=membership.organization.name)
    )


def confirm(
    session: Session, *, session_id: str, otp: str, encryption: Encryption, now: datetime
) -> list[str] | errors.Failure:
    """Add the enrolled authenticator. The first one turns the codes on and ends every other
    session; returns the recovery codes, shown this once. A further one creates none, and the
    existing ones stay valid. A wrong code is counted and returned, not raised.

    Raises TokenRevoked, NotEnrolled, TooManyAttempts."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    authenticator = queries.unconfirmed_authenticator(session, identity.id)
    if authenticator is None:
        raise codes.NotEnrolled()
    if not codes.use_code(identity, [authenticator], otp, encryption, now):
        return InvalidCode(
            errors=[{"pointer": "/otp", "code": InvalidCode.code, "detail": InvalidCode().detail}]
        )
    is_first = not queries.has_one_time_codes(session, identity.id)
    authenticator.confirmed_at = now
    if not is_first:
        _notify(session, "added", AUTHENTICATOR_ADDED, authenticator, identity, membership, now)
        return []
    login.with_otp = True
    fresh = codes.add_recovery_codes(session, identity.id, encryption)
    _end_others(session, login, now)
    codes.record_and_notify(session, "mfa.enabled", CODES_ON, identity, membership, now)
    return fresh


def remove(session: Session, *, session_id: str, authenticator_id: str, now: datetime) -> None:
    """Remove one authenticator and end every other session: its holder may be signed in. To
    remove the last one is to turn the codes off. Requires a recent re-authentication with a code.

    Raises TokenRevoked, NoSuchAuthenticator, MfaRequired, PasswordTooShort, StepUpRequired."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    known = queries.authenticators(session, identity.id, lock="change")
    authenticator = next((one for one in known if one.id == authenticator_id), None)
    if authenticator is None:
        raise NoSuchAuthenticator()
    if len(known) == 1:
        _switch_off(session, login, identity, membership, now)
        return
    _check_authentication(login, now, with_code=True)
    session.delete(authenticator)
    _end_others(session, login, now)
    _notify(session, "removed", AUTHENTICATOR_REMOVED, authenticator, identity, membership, now)


def switch_off(session: Session, *, session_id: str, now: datetime) -> None:
    """Turn the codes off, delete all authenticators and recovery codes and end every other
    session. Requires a recent re-authentication with a code.

    Raises TokenRevoked, NotEnrolled, MfaRequired, PasswordTooShort, StepUpRequired."""
    login, identity, membership = codes.lock_session(session, session_id=session_id, now=now)
    if queries.has_one_time_codes(session, identity.id):
        _switch_off(session, login, identity, membership, now)
    elif queries.unconfirmed_authenticator(session, identity.id) is None:
        raise codes.NotEnrolled("One-time codes are not turned on. There is nothing to turn off.")
    else:
        codes.delete_codes(session, identity_id=identity.id)


def _switch_off(
    session: Session,
    login: LoginSession,
    identity: Identity,
    membership: Membership,
    now: datetime,
) -> None:
    _check_authentication(login, now, with_code=True)
    if queries.needs_codes(session, identity.id):
        raise MfaRequired()
    if identity.short_password:
        raise codes.PasswordTooShort()
    _end_others(session, login, now)
    codes.record_and_notify(session, "mfa.disabled", CODES_OFF, identity, membership, now)
    codes.delete_codes(session, identity_id=identity.id)


def _check_authentication(login: LoginSession, now: datetime, *, with_code: bool) -> None:
    """Raises StepUpRequired unless it is recent, and was with a code where that is required."""
    is_recent = login.authenticated_at > now - REAUTHENTICATION
    if not is_recent or (with_code and not login.with_otp):
        raise StepUpRequired()


def _notify(
    session: Session,
    what: str,
    purpose: str,
    authenticator: Authenticator,
    identity: Identity,
    membership: Membership,
    now: datetime,
) -> None:
    codes.record_and_notify(
        session,
        f"mfa.authenticator_{what}",
        purpose,
        identity,
        membership,
        now,
        authenticator=authenticator.name,
    )


def _end_others(session: Session, login: LoginSession, now: datetime) -> None:
    """The codes are switched: end the other sessions, and the links that turn the codes off."""
    mails.supersede_codes_links(session, identity_id=login.identity_id, now=now)
    logouts.end_sessions(
        session, identity_id=login.identity_id, spare=login.id, why="codes_switched", now=now
    )
