"""Sessions: begin, renew, end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import acting_sessions, audit_log, revocations
from membership.models import Identity, LoginSession, RefreshToken
from membership.queries import Place
from membership.values import tokens
from membership.values.lifetimes import ACCESS, SessionLimits


class InvalidRefreshToken(errors.Unauthenticated):
    code = "invalid_refresh_token"
    detail = "This session has ended. Sign in again."


class OrganizationSuspended(errors.Forbidden):
    code = "organization_suspended"
    detail = "No one can log in to this organization. Ask its provider."


class MemberDisabled(errors.Forbidden):
    code = "member_disabled"
    detail = "Your access to this organization is disabled. Ask its owner or an admin."


class NotVerified(errors.Forbidden):
    code = "not_verified"
    detail = (
        "Your invitation has not been accepted yet. Open the link in the email we sent you, or ask "
        "for a new one."
    )


class TokenRevoked(errors.Unauthenticated):
    code = "token_revoked"
    detail = "This session has ended. Sign in again."


class NoSuchSession(errors.NotFound):
    code = "not_found"
    detail = "There is no such session. It may have already ended."


@dataclass(frozen=True)
class Issued:
    """A session that lives, what its provider demands of it, and the refresh token where there is a
    fresh one."""

    login: LoginSession
    refresh_token: str | None
    identity: Identity
    place: Place
    demands: queries.Demands


def exchange_session(
    session: Session,
    *,
    identity_id: str,
    session_id: str,
    organization_id: str,
    limits: SessionLimits,
    user_agent: str,
    now: datetime,
) -> Issued:
    """A further session of the same person in another organization of theirs; it lasts no longer
    than the one it comes from, so that nobody stays for ever without a password.

    Raises NoSuchOrganization, OrganizationSuspended, MemberDisabled, NotVerified, TokenRevoked."""
    found = [
        p for p in queries.places(session, identity_id) if p.organization.id == organization_id
    ]
    if not found:
        raise queries.NoSuchOrganization()
    place = lock_place(session, found[0], identity_id)
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    current = live(session, session_id=session_id, now=now, lock=True)
    return begin_session(
        session,
        identity=identity,
        place=place,
        limits=limits,
        user_agent=user_agent,
        now=now,
        proved_at=current.proved_at,
        with_otp=current.with_otp,
        latest=current.expires_at,
    )


def begin_session(
    session: Session,
    *,
    identity: Identity,
    place: Place,
    limits: SessionLimits,
    user_agent: str,
    now: datetime,
    proved_at: datetime,
    with_otp: bool,
    latest: datetime | None = None,
) -> Issued:
    """A new session; of too many, the one that rested longest ends."""
    kind = place.organization.kind
    expires_at = now + limits.total[kind]
    expires_at = min(expires_at, latest or expires_at)
    login = LoginSession(
        id=ids.new("ses"),
        identity_id=identity.id,
        member_id=place.member.id,
        organization_id=place.organization.id,
        user_agent=user_agent[:255] or None,
        created_at=now,
        last_used_at=now,
        expires_at=expires_at,
        proved_at=proved_at,
        with_otp=with_otp,
        idle_at=limits.idle_at(kind, now, expires_at),
    )
    token = tokens.new()
    session.add(login)
    session.flush()
    session.add(RefreshToken(digest=token.digest, session_id=login.id))
    identity.last_member_id = place.member.id
    _end_surplus(session, identity.id, limits, now)
    audit_log.record(
        session,
        "member.login",
        organization=place.organization,
        member=place.member,
        now=now,
        by=audit_log.member_actor(place.member, place.organization),
    )
    return issued(session, login, token.raw, identity, place)


def refresh_session(
    session: Session, *, raw: str, limits: SessionLimits, now: datetime
) -> Issued | None:
    """The session renewed with a fresh refresh token. None: the token is none of ours, or of an
    ended session, or was used before, and then the whole session is ended. Raises
    OrganizationSuspended, MemberDisabled."""
    token = session.get(RefreshToken, tokens.digest(raw))
    known = session.get(LoginSession, token.session_id) if token else None
    if token is None or known is None:
        return None
    place = queries.place(session, known.member_id)
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
    return issued(session, login, fresh.raw, session.get_one(Identity, login.identity_id), place)


def issued(
    session: Session,
    login: LoginSession,
    refresh_token: str | None,
    identity: Identity,
    place: Place,
) -> Issued:
    """The session as its holder gets it."""
    return Issued(
        login, refresh_token, identity, place, queries.demands(session, place.organization)
    )


def live(session: Session, *, session_id: str, now: datetime, lock: bool = False) -> LoginSession:
    """The session, as long as it lives. Raises TokenRevoked."""
    login = session.get(LoginSession, session_id, with_for_update=lock, populate_existing=True)
    if login is None or login.ended_at is not None or login.expires_at <= now:
        raise TokenRevoked()
    return login


def end_session(
    session: Session, *, session_id: str, identity_id: str, by: Actor, now: datetime
) -> None:
    """End one of a person's own sessions, or one in which they act for somebody or somebody acts as
    them.

    Raises NoSuchSession."""
    if not ids.is_id("ses", session_id):
        raise NoSuchSession()
    if end_sessions(
        session, session_id=session_id, identity_id=identity_id, why="signed_out", now=now
    ):
        return
    if not acting_sessions.end_own(
        session, acting_id=session_id, identity_id=identity_id, by=by, now=now
    ):
        raise NoSuchSession()


def end_sessions(
    session: Session,
    *,
    why: str,
    now: datetime,
    session_id: str | None = None,
    identity_id: str | None = None,
    member_id: str | None = None,
    organization_id: str | None = None,
    spare: str | None = None,
) -> int:
    """End the sessions that fit all that is given, but for ``spare``, and revoke their tokens;
    answers how many."""
    query = select(LoginSession).where(
        LoginSession.ended_at.is_(None), LoginSession.expires_at > now - ACCESS
    )
    for column, value in (
        (LoginSession.id, session_id),
        (LoginSession.identity_id, identity_id),
        (LoginSession.member_id, member_id),
        (LoginSession.organization_id, organization_id),
    ):
        query = query if value is None else query.where(column == value)
    query = query if spare is None else query.where(LoginSession.id != spare)
    found = session.scalars(
        query.order_by(LoginSession.id).with_for_update().execution_options(populate_existing=True)
    ).all()
    acting_sessions.end_with(
        session,
        logins=[login.id for login in found],
        member_id=member_id,
        organization_id=organization_id,
        now=now,
    )
    _revoke(session, found, now)
    for login in found:
        login.ended_at, login.ended_why = now, why
    return len(found)


def outdate_tokens(session: Session, *, organization_id: str, now: datetime) -> None:
    """The access tokens of sessions there that began without a one-time code say something
    outdated: they are refused, and renewing the session helps."""
    live = (LoginSession.ended_at.is_(None), LoginSession.last_used_at > now - 2 * ACCESS)
    here = (LoginSession.organization_id == organization_id, LoginSession.with_otp.is_(False))
    _revoke(session, session.scalars(select(LoginSession).where(*here, *live)).all(), now)


def revoke_tokens(session: Session, *, member_id: str, now: datetime) -> None:
    """The member's access tokens say something outdated: they are refused, and renewing the session
    helps."""
    latest = session.scalar(
        select(func.max(LoginSession.last_used_at)).where(LoginSession.member_id == member_id)
    )
    acting_sessions.end_with_role(session, member_id=member_id, now=now)
    revocations.revoke(
        session, kind="member", before={member_id: revocations.until(now, latest)}, now=now
    )


def check_place(place: Place) -> None:
    """Raise unless people may be logged in there: OrganizationSuspended, MemberDisabled,
    NotVerified."""
    if place.organization.state != "open":
        raise OrganizationSuspended()
    if place.member.status == "disabled":
        raise MemberDisabled()
    if place.member.status != "active":
        raise NotVerified()


def lock_place(session: Session, place: Place, identity_id: str) -> Place:
    """The place, locked against changes, if it is still this person's. Raises TokenRevoked and what
    ``check_place`` does."""
    _lock_rows(session, place)
    if (
        place.member.identity_id != identity_id
    ):  # since we looked, they were cut off or their address was changed
        raise TokenRevoked()
    check_place(place)
    return place


def _lock_rows(session: Session, place: Place) -> None:
    for row in (
        place.organization,
        place.member,
    ):  # in the order in which changes of members lock them
        session.refresh(row, with_for_update={"read": True})


def _end_surplus(session: Session, identity_id: str, limits: SessionLimits, now: datetime) -> None:
    """Only sessions that rest are ended: what holds a live access token is left alone."""
    resting = session.execute(
        select(LoginSession.id, LoginSession.last_used_at)
        .where(
            LoginSession.identity_id == identity_id,
            LoginSession.ended_at.is_(None),
            LoginSession.idle_at > now,
        )
        .order_by(LoginSession.last_used_at.desc())
        .offset(limits.at_most)
    ).all()
    for row in resting:
        if row.last_used_at < now - ACCESS:
            end_sessions(session, session_id=row.id, why="too_many", now=now)


def _revoke(session: Session, logins: Sequence[LoginSession], now: datetime) -> None:
    before = {login.id: revocations.until(now, login.last_used_at) for login in logins}
    revocations.revoke(session, kind="session", before=before, now=now)
