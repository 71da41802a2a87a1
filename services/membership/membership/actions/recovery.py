"""When an authenticator is lost: recovery codes, and how the one-time codes are turned off."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from chassis.auth.callers import StepUpRequired
from sqlalchemy import delete
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, logouts, mails, one_time_codes
from membership.models import Identity, RecoveryCode
from membership.values.encryption import Encryption
from membership.values.lifetimes import REAUTHENTICATION
from membership.values.mails import CODES_RESET, RECOVERY_CODES_RENEWED


class NoSuchLogin(errors.NotFound):
    code = "not_found"
    detail = "There is no login with this email address."


class CodesAreOff(errors.Conflict):
    code = "not_enrolled"
    detail = "One-time codes of this login are not turned on. There is nothing to reset."


def renew_codes(
    session: Session, *, session_id: str, encryption: Encryption, now: datetime
) -> list[str]:
    """Replace the recovery codes; returns the new ones, shown this once. Requires a recent
    re-authentication with a code. Raises TokenRevoked, NotEnrolled, StepUpRequired."""
    login, identity, membership = one_time_codes.lock_session(
        session, session_id=session_id, now=now
    )
    if not queries.has_one_time_codes(session, identity.id):
        raise one_time_codes.NotEnrolled()
    if login.authenticated_at <= now - REAUTHENTICATION or not login.with_otp:
        raise StepUpRequired()
    session.execute(delete(RecoveryCode).where(RecoveryCode.identity_id == identity.id))
    fresh = one_time_codes.add_recovery_codes(session, identity.id, encryption)
    one_time_codes.record_and_notify(
        session, "mfa.recovery_codes_renewed", RECOVERY_CODES_RENEWED, identity, membership, now
    )
    return fresh


def reset_codes(session: Session, *, email: str, unknown_hash: str, now: datetime) -> bool:
    """Turn off the one-time codes of somebody who has lost them, for an operator who knows that it
    is them; they are notified by email. Returns what ``turn_off`` does. Raises NoSuchLogin,
    CodesAreOff."""
    identity = queries.identity_by_email(session, email)
    if identity is None:
        raise NoSuchLogin()
    session.refresh(identity, with_for_update=True)
    enrolled = queries.has_one_time_codes(session, identity.id)
    if not enrolled and queries.unconfirmed_authenticator(session, identity.id) is None:
        raise CodesAreOff()
    too_short = turn_off(session, identity=identity, unknown_hash=unknown_hash, by=SYSTEM, now=now)
    memberships = queries.memberships(session, identity.id)
    if memberships and identity.email:
        mails.queue_notice(
            session,
            purpose=CODES_RESET,
            organization=memberships[0].organization,
            email=identity.email,
            now=now,
        )
    return too_short


def turn_off(
    session: Session, *, identity: Identity, unknown_hash: str, by: Actor | None, now: datetime
) -> bool:
    """Turn off the one-time codes of a person, whose row is locked, and end all their sessions; it
    is in the audit log of every organization that they have joined. ``by``: None if it was the
    person. A password that is too short without codes no longer works: it is replaced by
    ``unknown_hash``, of a password that nobody knows. Returns whether it was."""
    too_short = identity.short_password
    if too_short:
        identity.password_hash = unknown_hash
    one_time_codes.delete_codes(session, identity_id=identity.id)
    mails.supersede_codes_links(session, identity_id=identity.id, now=now)
    logouts.end_sessions(session, identity_id=identity.id, why="codes_switched", now=now)
    for member, organization in queries.memberships(session, identity.id):
        if member.verified:
            audit_log.record(
                session,
                "mfa.reset",
                organization=organization,
                member=member,
                by=by or audit_log.member_actor(member, organization),
                now=now,
            )
    return too_short
