"""Passwords and one-time codes as authentication: to log in, to re-authenticate, to change the
password."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from chassis import errors
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, identities, one_time_codes, sessions
from membership.actions.sessions import Issued
from membership.models import Identity, LoginFailures
from membership.queries import Login, Membership
from membership.values.attempt_limits import Limits
from membership.values.clients import Client, Device
from membership.values.encryption import Encryption
from membership.values.lifetimes import SessionLimits


class InvalidCredentials(errors.Unauthenticated):
    code = "invalid_credentials"
    detail = "The email address or the password is wrong. Check both, or reset the password."


@dataclass(frozen=True, kw_only=True)
class LoginAttempt:
    """An attempt to authenticate, with its password already compared.

    ``login``: what was read for the address; ``matched``: whether the password is right;
    ``is_short``: too short to be used without one-time codes; ``new_hash``: to store where the
    stored hash is outdated; ``client``: where it comes from; ``limits``: of its network."""

    login: Login
    matched: bool
    is_short: bool
    new_hash: str | None
    otp: str | None
    client: Client
    limits: Limits
    encryption: Encryption


class _Compared(NamedTuple):
    """A right password. ``seconds``: for which others on its network are blocked."""

    failures: LoginFailures
    identity_id: str
    seconds: int


class _Authenticated(NamedTuple):
    identity: Identity
    membership: Membership
    with_otp: bool


def log_in(
    session: Session,
    *,
    attempt: LoginAttempt,
    organization_id: str | None,
    limits: SessionLimits,
    device: Device,
    now: datetime,
) -> Issued | errors.Failure:
    """Begin a session. A wrong password or code is counted and returned, not raised, so that the
    count is committed.

    Raises TooManyAttempts, OtpRequired, OrganizationSuspended, MemberDisabled, NotVerified,
    InvalidCredentials."""

    def choose(identity_id: str) -> Membership:
        return _choose_membership(session, identity_id, organization_id)

    authenticated = _authenticate(session, attempt, choose, now)
    if isinstance(authenticated, errors.Failure):
        return authenticated
    identity, membership, with_otp = authenticated
    attempts.remember_client(session, identity_id=identity.id, client=attempt.client, now=now)
    return sessions.begin_session(
        session,
        identity=identity,
        membership=membership,
        limits=limits,
        device=device,
        now=now,
        authenticated_at=now,
        with_otp=with_otp,
    )


def step_up(
    session: Session, *, attempt: LoginAttempt, session_id: str, now: datetime
) -> Issued | errors.Failure:
    """Re-authenticate within a session. A wrong password or code is counted and returned, not
    raised.

    Raises TokenRevoked, TooManyAttempts, OtpRequired, and what forbids a login there."""
    authenticated = _authenticate_within(session, attempt, session_id, now)
    if isinstance(authenticated, errors.Failure):
        return authenticated
    identity, membership, with_otp = authenticated
    login = sessions.live(session, session_id=session_id, now=now, lock=True)
    login.authenticated_at = now
    login.with_otp = with_otp
    login.last_used_at = max(now, login.last_used_at)
    _record(session, "member.proved", membership, now)
    return sessions.issued(session, login, None, identity, membership)


def check_password(
    session: Session, *, attempt: LoginAttempt, session_id: str, now: datetime
) -> errors.Failure | None:
    """Check the password, and the code where they are on. A wrong one is counted and returned, not
    raised. Raises what ``step_up`` does."""
    authenticated = _authenticate_within(session, attempt, session_id, now)
    return authenticated if isinstance(authenticated, errors.Failure) else None


def change_password(
    session: Session,
    *,
    attempt: LoginAttempt,
    session_id: str,
    password_hash: str,
    is_short: bool,
    now: datetime,
) -> errors.Failure | None:
    """Set another password and end every other session. A wrong current password or code is
    counted and returned, not raised.

    Raises what ``step_up`` does, and PasswordTooShort."""
    authenticated = _authenticate_within(session, attempt, session_id, now)
    if isinstance(authenticated, errors.Failure):
        return authenticated
    identity, membership, _ = authenticated
    one_time_codes.note_password(session, identity_id=identity.id, is_short=is_short)
    sessions.live(session, session_id=session_id, now=now, lock=True)
    identities.set_password(
        session, identity=identity, password_hash=password_hash, now=now, spare=session_id
    )
    _record(session, "password.changed", membership, now)
    return None


def _authenticate_within(
    session: Session, attempt: LoginAttempt, session_id: str, now: datetime
) -> _Authenticated | errors.Failure:
    login = sessions.live(session, session_id=session_id, now=now)

    def of_session(_identity_id: str) -> Membership:
        return queries.membership(session, login.member_id)

    return _authenticate(session, attempt, of_session, now)


def check_password_alone(
    session: Session, *, attempt: LoginAttempt, now: datetime
) -> errors.Failure | None:
    """Check the password, without a code. A wrong one is counted and returned, not raised. The
    caller locks the person afterwards, and checks that it is still their password. Raises
    TooManyAttempts."""
    compared = _compare(session, attempt, now)
    if isinstance(compared, errors.Failure):
        return compared
    compared.failures.count = 0
    return None


def _compare(session: Session, attempt: LoginAttempt, now: datetime) -> _Compared | errors.Failure:
    """Count the attempt if its password is wrong; the counters stay locked."""
    seconds = attempts.seconds_blocked(session, limits=attempt.limits, now=now)
    if not attempt.login.is_known_client:
        attempts.check_wait(seconds)
    failures = attempts.lock_password_failures(session, attempt.login.key, now)
    if attempt.matched and attempt.login.identity_id is not None:
        return _Compared(failures, attempt.login.identity_id, seconds)
    attempts.count_password_failure(failures, identity_id=attempt.login.identity_id, now=now)
    if seconds:
        return attempts.TooManyAttempts(retry_after=seconds)
    attempts.count_failure(session, limits=attempt.limits, now=now)
    return InvalidCredentials()


def _authenticate(
    session: Session,
    attempt: LoginAttempt,
    membership_of: Callable[[str], Membership],
    now: datetime,
) -> _Authenticated | errors.Failure:
    """Does the same work for unknown addresses as for known ones, until the password is right, so
    that response times reveal nothing."""
    compared = _compare(session, attempt, now)
    if isinstance(compared, errors.Failure):
        return compared
    failures, identity_id, seconds = compared
    membership = sessions.lock_membership(session, membership_of(identity_id), identity_id)
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    if identity.password_hash != attempt.login.password_hash:
        return InvalidCredentials()
    with_otp = one_time_codes.take_otp(
        session,
        identity=identity,
        membership=membership,
        otp=attempt.otp,
        short_password=attempt.is_short,
        encryption=attempt.encryption,
        now=now,
    )
    if isinstance(with_otp, errors.Failure):
        if not seconds:
            attempts.count_failure(session, limits=attempt.limits, now=now)
        _record(session, "member.login", membership, now, outcome="denied", reason=with_otp.code)
        return with_otp
    failures.count = 0
    identity.password_hash = attempt.new_hash or identity.password_hash
    return _Authenticated(identity, membership, with_otp)


def _choose_membership(
    session: Session, identity_id: str, organization_id: str | None
) -> Membership:
    """The membership in the named organization. Without a name the last used one, if possible one
    that is open."""
    last_member_id = session.scalar(
        select(Identity.last_member_id).where(Identity.id == identity_id)
    )
    memberships = queries.memberships(session, identity_id)
    if organization_id is not None:
        memberships = [m for m in memberships if m.organization.id == organization_id]
    if not memberships:
        raise InvalidCredentials()
    memberships.sort(key=lambda membership: membership.member.id != last_member_id)
    active = [m for m in memberships if m.member.status == "active"]
    usable = [m for m in active if m.organization.state == "open"]
    return (usable or active or memberships)[0]


def _record(
    session: Session,
    action: str,
    membership: Membership,
    now: datetime,
    *,
    outcome: str = "ok",
    reason: str | None = None,
) -> None:
    member, organization = membership
    audit_log.record(
        session,
        action,
        organization=organization,
        member=member,
        by=audit_log.member_actor(member, organization),
        now=now,
        outcome=outcome,
        reason=reason,
    )
