"""One-time codes: turn them on and off, and check them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.callers import StepUpRequired
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, logouts, mails, sessions
from membership.models import Identity, LoginSession, RecoveryCode, Totp
from membership.queries import Membership
from membership.values import one_time_codes
from membership.values.encryption import Encryption
from membership.values.lifetimes import REAUTHENTICATION
from membership.values.mails import CODES_OFF, CODES_ON, RECOVERY_CODE_USED


class OtpRequired(errors.Unauthenticated):
    code = "otp_required"
    detail = "Send the one-time code of your authenticator app, or a recovery code, as otp."


class InvalidOtp(errors.Unauthenticated):
    code = "invalid_otp"
    detail = (
        "The one-time code is wrong or was already used. Wait for the next one, or use a recovery "
        "code."
    )


class InvalidCode(errors.Invalid):
    code = "invalid_otp"
    detail = "The one-time code is wrong or was already used. Wait for the next one."


class NotEnrolled(errors.Conflict):
    code = "not_enrolled"
    detail = "There is no enrollment to confirm. Start with POST /v1/me/totp."


class AlreadyOn(errors.Conflict):
    code = "already_on"
    detail = "One-time codes are already on. Turn them off first: DELETE /v1/me/totp."


class MfaRequired(errors.Conflict):
    code = "mfa_required"
    detail = "Your provider requires one-time codes. You cannot turn them off."


class PasswordTooShort(errors.Conflict):
    code = "password_too_short"
    detail = (
        "Your password is too short to be used without one-time codes. Choose a longer one first: "
        "POST /v1/me/password."
    )


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
    login, identity, membership = lock_session(session, session_id=session_id, now=now)
    if login.authenticated_at <= now - REAUTHENTICATION:
        raise StepUpRequired()
    totp = queries.totp(session, identity.id, lock="change")
    if totp is not None and totp.confirmed_at is not None:
        raise AlreadyOn()
    secret = one_time_codes.new_secret()
    totp = totp or Totp(identity_id=identity.id)
    totp.secret = encryption.encrypt(secret, owner=identity.id)
    totp.last_step = totp.failures = 0
    totp.short_password = False
    totp.blocked_until = None
    session.add(totp)
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
    login, identity, membership = lock_session(session, session_id=session_id, now=now)
    totp = queries.totp(session, identity.id, lock="change")
    if totp is None:
        raise NotEnrolled()
    if totp.confirmed_at is not None:
        raise AlreadyOn()
    if not _use_code(totp, otp, encryption, now):
        return InvalidCode(
            errors=[{"pointer": "/otp", "code": InvalidCode.code, "detail": InvalidCode().detail}]
        )
    totp.confirmed_at, login.with_otp = now, True
    fresh = add_recovery_codes(session, identity.id, encryption)
    _end_others(session, login, now)
    record_and_notify(session, "mfa.enabled", CODES_ON, identity, membership, now)
    return fresh


def add_recovery_codes(session: Session, identity_id: str, encryption: Encryption) -> list[str]:
    """Add new recovery codes, of which only digests are stored; returns them."""
    fresh = one_time_codes.new_recovery_codes()
    session.add_all(
        RecoveryCode(
            identity_id=identity_id,
            digest=encryption.digest(one_time_codes.plain(code), owner=identity_id),
        )
        for code in fresh
    )
    return fresh


def switch_off(session: Session, *, session_id: str, now: datetime) -> None:
    """Turn the codes off, delete the recovery codes and end every other session. Requires a
    recent re-authentication with a code.

    Raises TokenRevoked, NotEnrolled, MfaRequired, PasswordTooShort, StepUpRequired."""
    login, identity, membership = lock_session(session, session_id=session_id, now=now)
    totp = queries.totp(session, identity.id, lock="change")
    if totp is None:
        raise NotEnrolled("One-time codes are not turned on. There is nothing to turn off.")
    if totp.confirmed_at is not None:
        if login.authenticated_at <= now - REAUTHENTICATION or not login.with_otp:
            raise StepUpRequired()
        if queries.provider_requires_codes(session, identity.id):
            raise MfaRequired()
        if totp.short_password:
            raise PasswordTooShort()
        _end_others(session, login, now)
        record_and_notify(session, "mfa.disabled", CODES_OFF, identity, membership, now)
    delete_codes(session, identity_id=identity.id)


def _end_others(session: Session, login: LoginSession, now: datetime) -> None:
    logouts.end_sessions(
        session, identity_id=login.identity_id, spare=login.id, why="codes_switched", now=now
    )


def delete_codes(session: Session, *, identity_id: str) -> None:
    """Delete a person's codes. Their sessions no longer count as authenticated by a code."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.identity_id == identity_id))
    session.execute(delete(Totp).where(Totp.identity_id == identity_id))
    session.execute(
        update(LoginSession).where(LoginSession.identity_id == identity_id).values(with_otp=False)
    )


def take_otp(
    session: Session,
    *,
    identity: Identity,
    membership: Membership,
    otp: str | None,
    short_password: bool,
    encryption: Encryption,
    now: datetime,
) -> bool | InvalidOtp:
    """Check the code of a person whose password was right and whose row is locked. Returns False
    for those who have no codes. A wrong code is counted and returned, not raised.

    Raises OtpRequired, TooManyAttempts."""
    totp = queries.totp(session, identity.id, lock="change")
    if totp is None or totp.confirmed_at is None:
        return False
    if otp is None:
        raise OtpRequired()
    # Recovery codes work even while failed attempts block the one-time codes.
    if _use_recovery_code(session, totp, otp, encryption, now):
        unused = (RecoveryCode.identity_id == identity.id, RecoveryCode.used_at.is_(None))
        left = session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0
        record_and_notify(
            session,
            "mfa.recovery_code_used",
            RECOVERY_CODE_USED,
            identity,
            membership,
            now,
            left=left,
        )
    elif not _use_code(totp, otp, encryption, now):
        return InvalidOtp()
    totp.failures, totp.short_password = 0, short_password
    return True


def note_password(session: Session, *, identity_id: str, is_short: bool) -> None:
    """Remember whether the new password is too short to be used without codes. The person's row is
    locked. Raises PasswordTooShort where it is too short and the codes are off."""
    totp = queries.totp(session, identity_id, lock="change")
    confirmed = totp is not None and totp.confirmed_at is not None
    if is_short and not confirmed:
        raise PasswordTooShort()
    if totp is not None:
        totp.short_password = is_short


def lock_session(
    session: Session, *, session_id: str, now: datetime
) -> tuple[LoginSession, Identity, Membership]:
    """A live session with its person and membership, locked. Raises TokenRevoked, and what forbids
    a login there."""
    login = sessions.live(session, session_id=session_id, now=now)
    membership = sessions.lock_membership(
        session, queries.membership(session, login.member_id), login.identity_id
    )
    identity = session.get_one(
        Identity, login.identity_id, with_for_update=True, populate_existing=True
    )
    return sessions.live(session, session_id=session_id, now=now, lock=True), identity, membership


def _use_code(totp: Totp, otp: str, encryption: Encryption, now: datetime) -> bool:
    """Use up the code; returns whether it is right and was not used before. Raises
    TooManyAttempts."""
    attempts.check_code(totp, now)
    secret = encryption.decrypt(totp.secret, owner=totp.identity_id)
    step = one_time_codes.step_of(secret, otp, now, after=totp.last_step)
    if step is not None:
        totp.last_step, totp.failures = step, 0
        totp.secret = encryption.rotate(totp.secret, owner=totp.identity_id)
        return True
    attempts.count_code_failure(totp, now)
    return False


def _use_recovery_code(
    session: Session, totp: Totp, otp: str, encryption: Encryption, now: datetime
) -> bool:
    """Use up the recovery code; returns whether it is one that was not used before."""
    digests = encryption.digests(one_time_codes.plain(otp), owner=totp.identity_id)
    code = session.scalars(
        select(RecoveryCode)
        .where(RecoveryCode.identity_id == totp.identity_id, RecoveryCode.digest.in_(digests))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if code is None or code.used_at is not None:
        return False
    code.used_at, totp.blocked_until = now, None
    return True


def record_and_notify(
    session: Session,
    action: str,
    purpose: str,
    identity: Identity,
    membership: Membership,
    now: datetime,
    **details: Any,
) -> None:
    """Record what a person did with their codes, and notify them by email."""
    member, organization = membership
    audit_log.record(
        session,
        action,
        organization=organization,
        member=member,
        by=audit_log.member_actor(member, organization),
        now=now,
    )
    mails.queue_notice(
        session,
        purpose=purpose,
        organization=organization,
        email=identity.email or "",
        now=now,
        **details,
    )
