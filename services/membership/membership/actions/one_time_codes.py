"""One-time codes: switch them on and off, and have somebody prove by one who they are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis import errors
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, mails, sessions
from membership.models import Identity, LoginSession, RecoveryCode, Totp
from membership.queries import Place
from membership.values import attempt_limits, one_time_codes
from membership.values.encryption import Sealer
from membership.values.lifetimes import PROOF
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
    detail = "One-time codes are already on. Switch them off first: DELETE /v1/me/totp."


class MfaRequired(errors.Conflict):
    code = "mfa_required"
    detail = "Your provider requires one-time codes. You cannot switch them off."


class PasswordTooShort(errors.Conflict):
    code = "password_too_short"
    detail = (
        "Your password is too short to be used without one-time codes. Choose a longer one first: "
        "POST /v1/me/password."
    )


class StepUpRequired(errors.Forbidden):
    code = "step_up_required"
    detail = "This action requires re-authentication. Send POST /v1/me/step-up, then try again."


@dataclass(frozen=True)
class Enrolment:
    """A secret for an authenticator app, shown this once."""

    secret: str
    uri: str


def enrol(session: Session, *, session_id: str, sealer: Sealer, now: datetime) -> Enrolment:
    """A fresh secret, not demanded before it is confirmed. Raises TokenRevoked, StepUpRequired,
    AlreadyOn."""
    login, identity, place = lock_session(session, session_id=session_id, now=now)
    if login.proved_at <= now - PROOF:
        raise StepUpRequired()
    totp = queries.totp(session, identity.id, lock="change")
    if totp is not None and totp.confirmed_at is not None:
        raise AlreadyOn()
    secret = one_time_codes.new_secret()
    totp = totp or Totp(identity_id=identity.id)
    totp.secret = sealer.seal(secret, whose=identity.id)
    totp.last_step = totp.failures = 0
    totp.short_password = False
    totp.shut_until = None
    session.add(totp)
    email = identity.email or ""
    return Enrolment(
        secret, one_time_codes.uri(secret, email=email, issuer=place.organization.name)
    )


def confirm(
    session: Session, *, session_id: str, otp: str, sealer: Sealer, now: datetime
) -> list[str] | errors.Failure:
    """Switch the codes on; the recovery codes, shown this once. A wrong code is counted and
    answered, not raised.

    Raises TokenRevoked, NotEnrolled, AlreadyOn, TooManyAttempts."""
    login, identity, place = lock_session(session, session_id=session_id, now=now)
    totp = queries.totp(session, identity.id, lock="change")
    if totp is None:
        raise NotEnrolled()
    if totp.confirmed_at is not None:
        raise AlreadyOn()
    if not _is_fresh(totp, otp, sealer, now):
        return InvalidCode(
            errors=[{"pointer": "/otp", "code": InvalidCode.code, "detail": InvalidCode().detail}]
        )
    totp.confirmed_at, login.with_otp = now, True
    fresh = one_time_codes.new_recovery_codes()
    session.add_all(
        RecoveryCode(
            identity_id=identity.id,
            digest=sealer.digest(one_time_codes.plain(code), whose=identity.id),
        )
        for code in fresh
    )
    _tell(session, "mfa.enabled", CODES_ON, identity, place, now)
    return fresh


def switch_off(session: Session, *, session_id: str, now: datetime) -> None:
    """Take the codes away, the recovery codes too; wants a proof by one of them that is fresh.

    Raises TokenRevoked, NotEnrolled, MfaRequired, PasswordTooShort, StepUpRequired."""
    login, identity, place = lock_session(session, session_id=session_id, now=now)
    totp = queries.totp(session, identity.id, lock="change")
    if totp is None:
        raise NotEnrolled("One-time codes are not switched on. There is nothing to switch off.")
    if totp.confirmed_at is not None:
        if login.proved_at <= now - PROOF or not login.with_otp:
            raise StepUpRequired()
        if queries.provider_demands_codes(session, identity.id):
            raise MfaRequired()
        if totp.short_password:
            raise PasswordTooShort()
        _tell(session, "mfa.disabled", CODES_OFF, identity, place, now)
    forget(session, identity_id=identity.id)


def forget(session: Session, *, identity_id: str) -> None:
    """Delete somebody's codes; their sessions count as begun without."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.identity_id == identity_id))
    session.execute(delete(Totp).where(Totp.identity_id == identity_id))
    session.execute(
        update(LoginSession).where(LoginSession.identity_id == identity_id).values(with_otp=False)
    )


def take_otp(
    session: Session,
    *,
    identity: Identity,
    place: Place,
    otp: str | None,
    short_password: bool,
    sealer: Sealer,
    now: datetime,
) -> bool | InvalidOtp:
    """Whether the person, whose password was right and whose row is locked, has proved themselves
    by a code too; False: they have none. A wrong code is counted and answered, not raised. Raises
    OtpRequired, TooManyAttempts."""
    totp = queries.totp(session, identity.id, lock="change")
    if totp is None or totp.confirmed_at is None:
        return False
    if otp is None:
        raise OtpRequired()
    if _is_recovery_code(
        session, totp, otp, sealer, now
    ):  # good even where others have guessed codes shut
        unused = (RecoveryCode.identity_id == identity.id, RecoveryCode.used_at.is_(None))
        left = session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0
        _tell(
            session, "mfa.recovery_code_used", RECOVERY_CODE_USED, identity, place, now, left=left
        )
    elif not _is_fresh(totp, otp, sealer, now):
        return InvalidOtp()
    totp.failures, totp.short_password = 0, short_password
    return True


def note_password(session: Session, *, identity_id: str, is_short: bool) -> None:
    """Remember whether the new password is too short to be used alone; a short one wants the codes
    to be on, for which the person's row is locked. Raises PasswordTooShort."""
    totp = queries.totp(session, identity_id, lock="change")
    confirmed = totp is not None and totp.confirmed_at is not None
    if is_short and not confirmed:
        raise PasswordTooShort()
    if totp is not None:
        totp.short_password = is_short


def lock_session(
    session: Session, *, session_id: str, now: datetime
) -> tuple[LoginSession, Identity, Place]:
    """A live session with whom and where it is for, locked to be changed. Raises TokenRevoked, and
    what forbids to be logged in there."""
    found = sessions.live(session, session_id=session_id, now=now)
    place = sessions.lock_place(session, queries.place(session, found.member_id), found.identity_id)
    identity = session.get_one(
        Identity, found.identity_id, with_for_update=True, populate_existing=True
    )
    return sessions.live(session, session_id=session_id, now=now, lock=True), identity, place


def _is_fresh(totp: Totp, otp: str, sealer: Sealer, now: datetime) -> bool:
    """Whether it is the code of a step that was not used yet; it is used now. Raises
    TooManyAttempts."""
    if totp.shut_until is not None:
        attempts.stop(attempt_limits.until(totp.shut_until, now))
    secret = sealer.open(totp.secret, whose=totp.identity_id)
    step = one_time_codes.step_of(secret, otp, now, after=totp.last_step)
    if step is not None:
        totp.last_step, totp.failures = step, 0
        return True
    totp.failures += 1
    if totp.failures >= attempt_limits.CODE_TRIES:
        totp.failures, totp.shut_until = 0, now + attempt_limits.CODE_SHUT
    return False


def _is_recovery_code(
    session: Session, totp: Totp, otp: str, sealer: Sealer, now: datetime
) -> bool:
    """Whether it is one that was not used yet; it is used now."""
    digest = sealer.digest(one_time_codes.plain(otp), whose=totp.identity_id)
    code = session.get(
        RecoveryCode, (totp.identity_id, digest), with_for_update=True, populate_existing=True
    )
    if code is None or code.used_at is not None:
        return False
    code.used_at, totp.shut_until = now, None
    return True


def _tell(
    session: Session,
    action: str,
    purpose: str,
    identity: Identity,
    place: Place,
    now: datetime,
    **figures: Any,
) -> None:
    member, organization = place
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
        name=identity.given_name,
        now=now,
        **figures,
    )
