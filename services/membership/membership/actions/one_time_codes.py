"""One-time codes: check them, and delete them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.encryption import DecryptionError
from chassis.runtime import log
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, mails, sessions
from membership.models import Authenticator, Identity, LoginSession, RecoveryCode
from membership.queries import Membership
from membership.values import one_time_codes
from membership.values.encryption import Encryption
from membership.values.mails import RECOVERY_CODE_USED

_LOG = log.get("security")


class OtpRequired(errors.Unauthenticated):
    code = "otp_required"
    detail = "Send the one-time code of your authenticator app, or a recovery code, as otp."


class InvalidOtp(errors.Unauthenticated):
    code = "invalid_otp"
    detail = (
        "The one-time code is wrong or was already used. Wait for the next one, or use a recovery "
        "code."
    )


class NotEnrolled(errors.Conflict):
    code = "not_enrolled"
    detail = "You have no authenticator. Add one first: POST /v1/me/totp."


class PasswordTooShort(errors.Conflict):
    code = "password_too_short"
    detail = (
        "Your password is too short to be used without one-time codes. Choose a longer one first: "
        "POST /v1/me/password."
    )


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


def delete_codes(session: Session, *, identity_id: str) -> None:
    """Delete a person's authenticators and recovery codes, and what is known of their use. Their
    sessions no longer count as authenticated by a code."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.identity_id == identity_id))
    session.execute(delete(Authenticator).where(Authenticator.identity_id == identity_id))
    session.execute(
        update(LoginSession).where(LoginSession.identity_id == identity_id).values(with_otp=False)
    )
    session.execute(
        update(Identity)
        .where(Identity.id == identity_id)
        .values(code_failures=0, codes_blocked_until=None, short_password=False)
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
    authenticators = queries.authenticators(session, identity.id, lock="change")
    if not authenticators:
        return False
    if otp is None:
        raise OtpRequired()
    # Recovery codes work even while failed attempts block the one-time codes.
    if _use_recovery_code(session, identity, otp, encryption, now):
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
    elif not use_code(identity, authenticators, otp, encryption, now):
        return InvalidOtp()
    identity.code_failures, identity.short_password = 0, short_password
    return True


def note_password(session: Session, *, identity_id: str, is_short: bool) -> None:
    """Remember whether the new password is too short to be used without codes. The person's row is
    locked. Raises PasswordTooShort where it is too short and the codes are off."""
    if is_short and not queries.has_one_time_codes(session, identity_id):
        raise PasswordTooShort()
    session.get_one(Identity, identity_id).short_password = is_short


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


def use_code(
    identity: Identity,
    authenticators: Sequence[Authenticator],
    otp: str,
    encryption: Encryption,
    now: datetime,
) -> bool:
    """Use up the code; returns whether it is one of these authenticators and was not used before.
    The person's row is locked. Raises TooManyAttempts."""
    attempts.check_code(identity, now)
    if not any(_is_code_of(one, otp, encryption, now) for one in authenticators):
        attempts.count_code_failure(identity, now)
        return False
    identity.code_failures = 0
    return True


def _is_code_of(
    authenticator: Authenticator, otp: str, encryption: Encryption, now: datetime
) -> bool:
    """Use up the code if this authenticator made it. One whose secret is lost makes none, so that
    the person's others go on working."""
    owner = authenticator.identity_id
    try:
        secret = encryption.decrypt(authenticator.secret, owner=owner)
    except DecryptionError:
        _LOG.warning("authenticator.unreadable", identity_id=owner)
        return False
    step = one_time_codes.step_of(secret, otp, now, after=authenticator.last_step)
    if step is None:
        return False
    authenticator.last_step, authenticator.last_used_at = step, now
    authenticator.secret = encryption.rotate(authenticator.secret, owner=owner)
    return True


def _use_recovery_code(
    session: Session, identity: Identity, otp: str, encryption: Encryption, now: datetime
) -> bool:
    """Use up the recovery code; returns whether it is one that was not used before."""
    digests = encryption.digests(one_time_codes.plain(otp), owner=identity.id)
    code = session.scalars(
        select(RecoveryCode)
        .where(RecoveryCode.identity_id == identity.id, RecoveryCode.digest.in_(digests))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if code is None or code.used_at is not None:
        return False
    code.used_at, identity.codes_blocked_until = now, None
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
