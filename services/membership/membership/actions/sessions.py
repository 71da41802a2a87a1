"""Login sessions: begin, and switch to another organization."""

from dataclasses import dataclass
from datetime import datetime

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, logouts
from membership.models import Identity, LoginSession, RefreshToken
from membership.queries import Membership
from membership.values import attempt_limits, tokens
from membership.values.clients import Device
from membership.values.lifetimes import ACCESS_TOKEN, SessionLimits

MAX_UNUSED_TOKENS = 20  # of one session, which several clients share


class OrganizationSuspended(errors.Forbidden):
    code = "organization_suspended"
    detail = "No one can sign in to this organization. Ask its provider."


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


@dataclass(frozen=True)
class Issued:
    """A live session, what its organization requires, and the refresh token if there is a new
    one."""

    login: LoginSession
    refresh_token: str | None
    identity: Identity
    membership: Membership
    requirements: queries.Requirements


def exchange_session(
    session: Session,
    *,
    identity_id: str,
    session_id: str,
    organization_id: str,
    limits: SessionLimits,
    device: Device,
    now: datetime,
) -> Issued:
    """Another session of the same person in another of their organizations: the live one that came
    from the same login, or a new one. It lasts no longer than the current one, so that nobody stays
    signed in forever without a password.

    Raises NoSuchOrganization, OrganizationSuspended, MemberDisabled, NotVerified, TokenRevoked."""
    membership = queries.membership_in(session, identity_id, organization_id)
    if membership is None:
        raise queries.NoSuchOrganization()
    lock_membership(session, membership, identity_id)
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    current = live(session, session_id=session_id, now=now, lock=True)
    again = _live_of_login(session, current, membership, now)
    if again is not None:
        return _use_again(session, again, current, identity, membership, limits, now)
    return begin_session(
        session,
        identity=identity,
        membership=membership,
        limits=limits,
        device=device,
        now=now,
        authenticated_at=current.authenticated_at,
        with_otp=current.with_otp,
        latest=current.expires_at,
        login_id=current.login_id or current.id,
    )


def _live_of_login(
    session: Session, current: LoginSession, membership: Membership, now: datetime
) -> LoginSession | None:
    """The live session with this membership that came from the same login and lasts no longer than
    the current one, locked."""
    origin = current.login_id or current.id
    query = select(LoginSession).where(
        LoginSession.identity_id == current.identity_id,
        LoginSession.ended_at.is_(None),
        LoginSession.member_id == membership.member.id,
        LoginSession.idle_at > now,
        LoginSession.expires_at <= current.expires_at,
        or_(LoginSession.id == origin, LoginSession.login_id == origin),
    )
    first = query.order_by(LoginSession.created_at, LoginSession.id).limit(1)
    return session.scalars(first.with_for_update()).one_or_none()


def _use_again(
    session: Session,
    login: LoginSession,
    current: LoginSession,
    identity: Identity,
    membership: Membership,
    limits: SessionLimits,
    now: datetime,
) -> Issued:
    """The session with a further refresh token. It counts as authenticated as late as the current
    one."""
    if current.authenticated_at > login.authenticated_at:
        login.authenticated_at, login.with_otp = current.authenticated_at, current.with_otp
    login.last_used_at = max(now, login.last_used_at)
    login.idle_at = limits.idle_at(membership.organization.kind, now, login.expires_at)
    return _sign_in(session, login, identity, membership, now)


def begin_session(
    session: Session,
    *,
    identity: Identity,
    membership: Membership,
    limits: SessionLimits,
    device: Device,
    now: datetime,
    authenticated_at: datetime,
    with_otp: bool,
    latest: datetime | None = None,
    login_id: str | None = None,
) -> Issued:
    """Begin a session. Where the person has too many, the ones unused for longest end. Raises
    TooManyRequests."""
    attempts.check_use(session, limits=attempt_limits.new_sessions(identity.id), now=now)
    login = _new(identity, membership, limits, device, now, latest)
    login.authenticated_at, login.with_otp = authenticated_at, with_otp
    login.login_id = login_id
    session.add(login)
    session.flush()
    _end_idle_surplus(session, identity.id, limits, now)
    audit_log.record(
        session,
        "member.login",
        organization=membership.organization,
        member=membership.member,
        now=now,
        by=audit_log.member_actor(membership.member, membership.organization),
    )
    return _sign_in(session, login, identity, membership, now)


def _new(
    identity: Identity,
    membership: Membership,
    limits: SessionLimits,
    device: Device,
    now: datetime,
    latest: datetime | None,
) -> LoginSession:
    """A session of this person that lasts until ``latest`` at most."""
    kind = membership.organization.kind
    expires_at = now + limits.total[kind]
    if latest is not None:
        expires_at = min(expires_at, latest)
    return LoginSession(
        id=ids.new("ses"),
        identity_id=identity.id,
        member_id=membership.member.id,
        organization_id=membership.organization.id,
        user_agent=device.user_agent[:255] or None,
        client_address=device.address[:64] or None,
        created_at=now,
        last_used_at=now,
        expires_at=expires_at,
        idle_at=limits.idle_at(kind, now, expires_at),
    )


def _sign_in(
    session: Session,
    login: LoginSession,
    identity: Identity,
    membership: Membership,
    now: datetime,
) -> Issued:
    """The session with a new refresh token."""
    token = tokens.new()
    add_token(session, login, token, now)
    _note_sign_in(identity, membership, now)
    return issued(session, login, token.raw, identity, membership)


def add_token(session: Session, login: LoginSession, token: tokens.Token, now: datetime) -> None:
    """Add a refresh token to the session, whose oldest unused ones beyond ``MAX_UNUSED_TOKENS`` are
    deleted."""
    session.add(RefreshToken(digest=token.digest, session_id=login.id, created_at=now))
    session.flush()
    unused = (RefreshToken.session_id == login.id, RefreshToken.used_at.is_(None))
    newest = RefreshToken.created_at.desc().nulls_last(), RefreshToken.digest
    surplus = select(RefreshToken.digest).where(*unused).order_by(*newest)
    session.execute(
        delete(RefreshToken).where(RefreshToken.digest.in_(surplus.offset(MAX_UNUSED_TOKENS)))
    )


def issued(
    session: Session,
    login: LoginSession,
    refresh_token: str | None,
    identity: Identity,
    membership: Membership,
) -> Issued:
    """The session as its holder receives it."""
    return Issued(
        login,
        refresh_token,
        identity,
        membership,
        queries.requirements(session, membership.organization),
    )


def live(session: Session, *, session_id: str, now: datetime, lock: bool = False) -> LoginSession:
    """The session. Raises TokenRevoked if it has ended or expired."""
    login = session.get(LoginSession, session_id, with_for_update=lock, populate_existing=True)
    if login is None or login.ended_at is not None or login.expires_at <= now:
        raise TokenRevoked()
    return login


def check_membership(membership: Membership) -> None:
    """Raise if a login is not allowed there: OrganizationSuspended, MemberDisabled, NotVerified."""
    if membership.organization.state != "open":
        raise OrganizationSuspended()
    if membership.member.status == "disabled":
        raise MemberDisabled()
    if membership.member.status != "active":
        raise NotVerified()


def lock_membership(session: Session, membership: Membership, identity_id: str) -> Membership:
    """Lock the membership against changes. Raises TokenRevoked if it is no longer this person's,
    and what ``check_membership`` does."""
    lock_rows(session, membership)
    # Since it was read, the login may have been removed or its address changed.
    if membership.member.identity_id != identity_id:
        raise TokenRevoked()
    check_membership(membership)
    return membership


def lock_rows(session: Session, membership: Membership) -> None:
    """Lock the organization and the member of a session, in the same order as changes to members
    do."""
    # The member is not shared: signing in writes to it.
    session.refresh(membership.organization, with_for_update={"read": True})
    session.refresh(membership.member, with_for_update={"key_share": True})


def _note_sign_in(identity: Identity, membership: Membership, now: datetime) -> None:
    identity.last_member_id = membership.member.id
    membership.member.last_signed_in_at = now


def _end_idle_surplus(
    session: Session, identity_id: str, limits: SessionLimits, now: datetime
) -> None:
    """Keep the sessions that were used last. One that holds a live access token is never ended."""
    surplus = session.execute(
        select(LoginSession.id, LoginSession.last_used_at)
        .where(
            LoginSession.identity_id == identity_id,
            LoginSession.ended_at.is_(None),
            LoginSession.idle_at > now,
        )
        .order_by(LoginSession.last_used_at.desc())
        .offset(limits.max_sessions)
    ).all()
    for row in surplus:
        if row.last_used_at < now - ACCESS_TOKEN:
            logouts.end_sessions(session, session_id=row.id, why="too_many", now=now)
