"""Sessions: begin, renew, end."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis import errors, ids
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import telling
from membership.models import (
    Counter,
    Identity,
    LoginFailures,
    LoginSession,
    Member,
    Organization,
    RefreshToken,
    Revocation,
)
from membership.queries import Place
from membership.values import addresses, tokens, waits
from membership.values.lifetimes import ACCESS, SessionLimits


class InvalidCredentials(errors.Unauthenticated):
    """The e-mail address or the password is wrong. Check both, or reset the password."""

    code = "invalid_credentials"


class InvalidRefreshToken(errors.Unauthenticated):
    """This session has ended. Sign in again."""

    code = "invalid_refresh_token"


class Throttled(errors.TooMany):
    """Too many wrong passwords in a row. Wait, then try again, or reset the password."""

    code = "too_many_attempts"


class OrganizationSuspended(errors.Forbidden):
    """This organization is closed to logins. Ask its provider."""

    code = "organization_suspended"


class MemberDisabled(errors.Forbidden):
    """Your access to this organization is disabled. Ask its owner or an admin."""

    code = "member_disabled"


class NotVerified(errors.Forbidden):
    """Your invitation is not accepted yet. Open the link in the mail you got, or ask for a new one."""

    code = "not_verified"


class TokenRevoked(errors.Unauthenticated):
    """This session has ended. Sign in again."""


class NoSuchSession(errors.NotFound):
    """There is no such session. It may have ended already."""

    code = "not_found"


@dataclass(frozen=True)
class Issued:
    """A session that lives, and the refresh token that its holder gets to see once."""

    login: LoginSession
    refresh_token: str
    identity: Identity
    place: Place


def log_in(
    session: Session, *, email: str, login: queries.Login, matched: bool, organization_id: str | None,
    limits: SessionLimits, user_agent: str, new_hash: str | None, now: datetime,
) -> Issued | None:
    """Begin a session for somebody whose password was checked; None counts one more failure.

    Raises Throttled, OrganizationSuspended, MemberDisabled, NotVerified, InvalidCredentials."""
    key = tokens.digest(addresses.key(email))
    failures = _lock_failures(session, key, now)
    wait = waits.left(failures.count, failures.last_at, now)
    if wait:
        raise Throttled(retry_after=wait)
    if not matched or login.identity_id is None:
        failures.count, failures.untold, failures.last_at = failures.count + 1, failures.untold + 1, now
        failures.identity_id = login.identity_id
        return None
    identity_id = login.identity_id
    place = _lock_place(session, _choose_place(session, identity_id, organization_id))
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    if identity.password_hash != login.password_hash:
        return None
    failures.count = 0
    identity.password_hash = new_hash or identity.password_hash
    return begin_session(session, identity=identity, place=place, limits=limits, user_agent=user_agent, now=now)


def exchange_session(
    session: Session, *, identity_id: str, session_id: str, organization_id: str, limits: SessionLimits,
    user_agent: str, now: datetime,
) -> Issued:
    """A further session of the same person in another organization of theirs; it lasts no longer than the one it
    comes from, so that nobody stays for ever without a password.

    Raises NoSuchOrganization, OrganizationSuspended, MemberDisabled, NotVerified, TokenRevoked."""
    found = [p for p in queries.places(session, identity_id) if p.organization.id == organization_id]
    if not found:
        raise queries.NoSuchOrganization()
    place = _lock_place(session, found[0])
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    current = session.get(LoginSession, session_id, with_for_update=True, populate_existing=True)
    if current is None or current.ended_at is not None or current.expires_at <= now:
        raise TokenRevoked()
    return begin_session(
        session, identity=identity, place=place, limits=limits, user_agent=user_agent, now=now,
        latest=current.expires_at,
    )


def begin_session(
    session: Session, *, identity: Identity, place: Place, limits: SessionLimits, user_agent: str, now: datetime,
    latest: datetime | None = None,
) -> Issued:
    """A new session; of too many, the one that rested longest ends."""
    kind = place.organization.kind
    expires_at = now + limits.total[kind]
    expires_at = min(expires_at, latest or expires_at)
    login = LoginSession(
        id=ids.new("ses"), identity_id=identity.id, member_id=place.member.id, organization_id=place.organization.id,
        user_agent=user_agent[:255] or None, created_at=now, last_used_at=now, expires_at=expires_at, proved_at=now,
        with_otp=False, idle_at=limits.idle_at(kind, now, expires_at),
    )
    token = tokens.new()
    session.add(login)
    session.flush()
    session.add(RefreshToken(digest=token.digest, session_id=login.id))
    identity.last_member_id = place.member.id
    _end_surplus(session, identity.id, limits, now)
    telling.record(
        session, "member.login", organization=place.organization, member=place.member, now=now,
        by=telling.as_actor(place.member, place.organization),
    )
    return Issued(login, token.raw, identity, place)


def refresh_session(session: Session, *, raw: str, limits: SessionLimits, now: datetime) -> Issued | None:
    """The session renewed with a fresh refresh token. None: the token is none of ours, or of an ended session, or
    was used before, and then the whole session is ended. Raises OrganizationSuspended, MemberDisabled."""
    token = session.get(RefreshToken, tokens.digest(raw))
    known = session.get(LoginSession, token.session_id) if token else None
    if token is None or known is None:
        return None
    place = Place(
        session.get_one(Member, known.member_id), session.get_one(Organization, known.organization_id)
    )
    _lock_rows(session, place)
    login = session.get_one(LoginSession, known.id, with_for_update=True, populate_existing=True)
    session.refresh(token)
    if token.used_at is not None:
        end_sessions(session, session_id=login.id, why="refresh_token_reused", now=now)
        return None
    if login.ended_at is not None or login.idle_at <= now:
        return None
    check_place(place)
    fresh = tokens.new()
    token.used_at = now
    session.add(RefreshToken(digest=fresh.digest, session_id=login.id))
    login.last_used_at = max(now, login.last_used_at)
    login.idle_at = limits.idle_at(place.organization.kind, now, login.expires_at)
    return Issued(login, fresh.raw, session.get_one(Identity, login.identity_id), place)


def end_session(session: Session, *, session_id: str, identity_id: str, now: datetime) -> None:
    """End one of a person's own sessions. Raises NoSuchSession."""
    if not ids.is_id("ses", session_id):
        raise NoSuchSession()
    if not end_sessions(session, session_id=session_id, identity_id=identity_id, why="signed_out", now=now):
        raise NoSuchSession()


def end_sessions(
    session: Session, *, why: str, now: datetime, session_id: str | None = None, identity_id: str | None = None,
    member_id: str | None = None, organization_id: str | None = None,
) -> int:
    """End the sessions that fit all that is given, and revoke their tokens; answers how many."""
    query = select(LoginSession).where(LoginSession.ended_at.is_(None), LoginSession.expires_at > now - ACCESS)
    for column, value in (
        (LoginSession.id, session_id), (LoginSession.identity_id, identity_id), (LoginSession.member_id, member_id),
        (LoginSession.organization_id, organization_id),
    ):
        query = query if value is None else query.where(column == value)
    found = session.scalars(
        query.order_by(LoginSession.id).with_for_update().execution_options(populate_existing=True)
    ).all()
    first = _take_numbers(session, len(found)) if found else 0
    for seq, login in enumerate(found, start=first):
        # A token may have been issued by a clock a little ahead of ours.
        before = max(now, login.last_used_at + timedelta(microseconds=1))
        session.add(Revocation(seq=seq, kind="session", key=login.id, before=before, at=now))
        login.ended_at, login.ended_why = now, why
    return len(found)


def revoke_tokens(session: Session, *, member_id: str, now: datetime) -> None:
    """The member's access tokens say something outdated: they are refused, and renewing the session helps."""
    latest = session.scalar(select(func.max(LoginSession.last_used_at)).where(LoginSession.member_id == member_id))
    before = max(now, (latest or now) + timedelta(microseconds=1))
    seq = _take_numbers(session, 1)
    session.add(Revocation(seq=seq, kind="member", key=member_id, before=before, at=now))


def check_place(place: Place) -> None:
    """Raise unless people may be logged in there: OrganizationSuspended, MemberDisabled, NotVerified."""
    if place.organization.state != "open":
        raise OrganizationSuspended()
    if place.member.status == "disabled":
        raise MemberDisabled()
    if place.member.status != "active":
        raise NotVerified()


def _choose_place(session: Session, identity_id: str, organization_id: str | None) -> Place:
    """The named place, or the last used one of those that are open."""
    last = session.scalar(select(Identity.last_member_id).where(Identity.id == identity_id))
    found = [p for p in queries.places(session, identity_id) if organization_id in (None, p.organization.id)]
    if not found:
        raise InvalidCredentials()
    found.sort(key=lambda place: place.member.id != last)
    usable = [p for p in found if p.organization.state == "open" and p.member.status == "active"]
    joined = [p for p in found if p.member.status == "active"]
    return (usable or joined or found)[0]


def _lock_place(session: Session, place: Place) -> Place:
    _lock_rows(session, place)
    check_place(place)
    return place


def _lock_rows(session: Session, place: Place) -> None:
    for row in (place.organization, place.member):  # in the order in which changes of members lock them
        session.refresh(row, with_for_update={"read": True})


def _end_surplus(session: Session, identity_id: str, limits: SessionLimits, now: datetime) -> None:
    """Only sessions that rest are ended: what holds a live access token is left alone."""
    resting = session.execute(
        select(LoginSession.id, LoginSession.last_used_at)
        .where(LoginSession.identity_id == identity_id, LoginSession.ended_at.is_(None), LoginSession.idle_at > now)
        .order_by(LoginSession.last_used_at.desc())
        .offset(limits.at_most)
    ).all()
    for row in resting:
        if row.last_used_at < now - ACCESS:
            end_sessions(session, session_id=row.id, why="too_many", now=now)


def _lock_failures(session: Session, key: bytes, now: datetime) -> LoginFailures:
    """The address's row, one login at a time: a burst of guesses gets no more answers than guesses in a row."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(
        insert(LoginFailures).values(key=key, count=0, untold=0, last_at=now).on_conflict_do_nothing()
    )
    return session.get_one(LoginFailures, key, with_for_update=True, populate_existing=True)


def _take_numbers(session: Session, count: int) -> int:
    """The first of so many numbers. The counter's row stays locked until the commit, so that numbers appear in their
    order and a reader that has seen one has seen all before it."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = insert(Counter).values(name="revocations", value=count)
    taken = session.execute(
        first.on_conflict_do_update(index_elements=["name"], set_={"value": Counter.value + count})
        .returning(Counter.value)
    )
    return int(taken.scalar_one()) - count + 1
