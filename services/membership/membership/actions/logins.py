"""Proving who one is: to begin a session, to go on with something dangerous, to choose a new
password."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from chassis import errors
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, identities, one_time_codes, sessions
from membership.actions.sessions import Issued
from membership.models import Identity, KnownClient, LoginFailures
from membership.queries import Login, Place
from membership.values import attempt_limits
from membership.values.encryption import Sealer
from membership.values.lifetimes import SessionLimits


class InvalidCredentials(errors.Unauthenticated):
    code = "invalid_credentials"
    detail = "The email address or the password is wrong. Check both, or reset the password."


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Somebody's attempt to prove who they are. ``login``: what was found for the address they
    gave; ``matched``: whether the password is the one; ``is_short``: too short without one-time
    codes; ``new_hash``: where the kept one is dated; ``client``: the network they call from,
    ``limits``: what holds for it."""

    login: Login
    matched: bool
    is_short: bool
    new_hash: str | None
    otp: str | None
    client: bytes
    limits: attempt_limits.Limits
    sealer: Sealer


class _Proven(NamedTuple):
    identity: Identity
    place: Place
    with_otp: bool


def log_in(
    session: Session,
    *,
    attempt: Attempt,
    organization_id: str | None,
    limits: SessionLimits,
    user_agent: str,
    now: datetime,
) -> Issued | errors.Failure:
    """Begin a session. A wrong password or code is counted and answered, not raised.

    Raises TooManyAttempts, OtpRequired, OrganizationSuspended, MemberDisabled, NotVerified,
    InvalidCredentials."""
    proven = _prove(
        session, attempt, lambda found: _choose_place(session, found, organization_id), now
    )
    if isinstance(proven, errors.Failure):
        return proven
    identity, place, with_otp = proven
    _remember_client(session, identity.id, attempt.client, now)
    return sessions.begin_session(
        session,
        identity=identity,
        place=place,
        limits=limits,
        user_agent=user_agent,
        now=now,
        proved_at=now,
        with_otp=with_otp,
    )


def step_up(
    session: Session, *, attempt: Attempt, session_id: str, now: datetime
) -> Issued | errors.Failure:
    """A fresh proof within a session. What is wrong is counted and answered, not raised.

    Raises TokenRevoked, TooManyAttempts, OtpRequired, and what forbids to be logged in there."""
    proven = _prove_within(session, attempt, session_id, now)
    if isinstance(proven, errors.Failure):
        return proven
    identity, place, with_otp = proven
    login = sessions.live(session, session_id=session_id, now=now, lock=True)
    login.proved_at, login.with_otp, login.last_used_at = (
        now,
        with_otp,
        max(now, login.last_used_at),
    )
    _record(session, "member.proved", place, now)
    return sessions.issued(session, login, None, identity, place)


def change_password(
    session: Session,
    *,
    attempt: Attempt,
    session_id: str,
    password_hash: str,
    is_short: bool,
    now: datetime,
) -> errors.Failure | None:
    """Set another password, and end every other session. What is wrong is counted and answered, not
    raised.

    Raises what ``step_up`` does, and PasswordTooShort."""
    proven = _prove_within(session, attempt, session_id, now)
    if isinstance(proven, errors.Failure):
        return proven
    identity, place, _ = proven
    one_time_codes.note_password(session, identity_id=identity.id, is_short=is_short)
    sessions.live(session, session_id=session_id, now=now, lock=True)
    identities.set_password(
        session, identity=identity, password_hash=password_hash, now=now, spare=session_id
    )
    _record(session, "password.changed", place, now)
    return None


def _prove_within(
    session: Session, attempt: Attempt, session_id: str, now: datetime
) -> _Proven | errors.Failure:
    login = sessions.live(session, session_id=session_id, now=now)
    return _prove(session, attempt, lambda _: queries.place(session, login.member_id), now)


def _prove(
    session: Session, attempt: Attempt, place_of: Callable[[str], Place], now: datetime
) -> _Proven | errors.Failure:
    """The same work for an address that exists and one that does not, up to the right password."""
    attempts.check(session, limits=attempt.limits, now=now)
    failures = _lock_failures(session, attempt.login.key, now)
    identity_id = attempt.login.identity_id
    if not attempt.matched or identity_id is None:
        failures.count, failures.untold, failures.last_at = (
            failures.count + 1,
            failures.untold + 1,
            now,
        )
        failures.identity_id = identity_id
        attempts.count_all(session, limits=attempt.limits, now=now)
        return InvalidCredentials()
    place = sessions.lock_place(session, place_of(identity_id), identity_id)
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    if identity.password_hash != attempt.login.password_hash:
        return InvalidCredentials()
    proof = one_time_codes.take_otp(
        session,
        identity=identity,
        place=place,
        otp=attempt.otp,
        short_password=attempt.is_short,
        sealer=attempt.sealer,
        now=now,
    )
    if isinstance(proof, errors.Failure):
        attempts.count_all(session, limits=attempt.limits, now=now)
        _record(session, "member.login", place, now, outcome="denied", reason=proof.code)
        return proof
    failures.count = 0
    identity.password_hash = attempt.new_hash or identity.password_hash
    return _Proven(identity, place, proof)


def _choose_place(session: Session, identity_id: str, organization_id: str | None) -> Place:
    """The named place, or the last used one of those that are open."""
    last = session.scalar(select(Identity.last_member_id).where(Identity.id == identity_id))
    found = [
        p
        for p in queries.places(session, identity_id)
        if organization_id in (None, p.organization.id)
    ]
    if not found:
        raise InvalidCredentials()
    found.sort(key=lambda place: place.member.id != last)
    usable = [p for p in found if p.organization.state == "open" and p.member.status == "active"]
    joined = [p for p in found if p.member.status == "active"]
    return (usable or joined or found)[0]


def _lock_failures(session: Session, key: bytes, now: datetime) -> LoginFailures:
    """The account's counter, one attempt at a time: a burst of guesses gets no more answers than
    guesses in a row.

    Raises TooManyAttempts."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = (
        insert(LoginFailures)
        .values(key=key, count=0, untold=0, last_at=now)
        .on_conflict_do_nothing()
    )
    failures = None
    while failures is None:  # again where a reset has forgotten them while we waited
        session.execute(first)
        failures = session.get(LoginFailures, key, with_for_update=True, populate_existing=True)
    attempts.stop(attempt_limits.left(failures.count, failures.last_at, now))
    return failures


def _remember_client(session: Session, identity_id: str, client: bytes, now: datetime) -> None:
    """They have logged in from there: wrong guesses made elsewhere don't shut this way."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = insert(KnownClient).values(identity_id=identity_id, client=client, last_at=now)
    session.execute(
        row.on_conflict_do_update(index_elements=["identity_id", "client"], set_={"last_at": now})
    )


def _record(
    session: Session,
    action: str,
    place: Place,
    now: datetime,
    *,
    outcome: str = "ok",
    reason: str | None = None,
) -> None:
    member, organization = place
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
