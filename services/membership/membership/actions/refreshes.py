"""Refreshing a login session."""

from collections.abc import Callable
from datetime import datetime

from chassis import errors
from chassis.auth.encryption import Encryption
from chassis.runtime import log
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, logouts, sessions
from membership.actions.sessions import Issued
from membership.models import Identity, LoginSession, RefreshToken
from membership.queries import Membership
from membership.values import attempt_limits, tokens
from membership.values.clients import Device
from membership.values.lifetimes import REFRESH_REPEATED, SessionLimits

ANSWER = "refresh answer"
_LOG = log.get("security")


class InvalidRefreshToken(errors.Unauthenticated):
    code = "invalid_refresh_token"
    detail = "This session has ended. Sign in again."


def refresh_session(
    session: Session,
    *,
    raw: str,
    limits: SessionLimits,
    device: Device,
    answer: Callable[[Issued], str],
    now: datetime,
) -> str | errors.Failure | None:
    """Refresh the session and replace its refresh token; returns what ``answer`` makes of it. A
    token that was used within ten seconds gets the same answer; one that was used before ends the
    whole session.

    Returns None if the token is unknown, and a failure if its session has ended. Raises
    OrganizationSuspended, MemberDisabled, NotVerified, TooManyRequests."""
    token = session.get(RefreshToken, tokens.digest(raw))
    known = session.get(LoginSession, token.session_id) if token else None
    if token is None or known is None:
        return None
    membership = queries.membership(session, known.member_id)
    sessions.lock_rows(session, membership)
    login = session.get_one(LoginSession, known.id, with_for_update=True, populate_existing=True)
    session.refresh(token)
    encryption = Encryption(raw, purpose=ANSWER)
    if _is_reused(token, now):
        logouts.end_sessions(session, session_id=login.id, why="refresh_token_reused", now=now)
        _LOG.warning(
            "security.refresh_token_reused", identity_id=login.identity_id, session_id=login.id
        )
        return InvalidRefreshToken()
    if login.ended_at is not None or login.idle_at <= now:
        return InvalidRefreshToken(ended_because=login.ended_why or "expired")
    sessions.check_membership(membership)
    if token.answer is not None:
        return encryption.decrypt(token.answer)
    _check_refreshes(session, login, now)
    token.used_at, login.client_address = now, device.address[:64] or None
    given = answer(_renew(session, login, membership, limits, now))
    token.answer = encryption.encrypt(given)
    return given


def _is_reused(token: RefreshToken, now: datetime) -> bool:
    """Whether the token was used so long ago that it is not the same client again whose answer was
    lost."""
    if token.used_at is None:
        return False
    return token.answer is None or now - token.used_at > REFRESH_REPEATED


def _renew(
    session: Session,
    login: LoginSession,
    membership: Membership,
    limits: SessionLimits,
    now: datetime,
) -> Issued:
    """The session, used now, with a new refresh token."""
    fresh = tokens.new()
    sessions.add_token(session, login, fresh, now)
    login.last_used_at = max(now, login.last_used_at)
    login.idle_at = limits.idle_at(membership.organization.kind, now, login.expires_at)
    identity = session.get_one(Identity, login.identity_id)
    return sessions.issued(session, login, fresh.raw, identity, membership)


def _check_refreshes(session: Session, login: LoginSession, now: datetime) -> None:
    """Raise TooManyRequests if the session was refreshed too often: all of its used tokens stay as
    long as it does, because each of them may turn up in other hands."""
    of_it, limit = RefreshToken.session_id == login.id, attempt_limits.REFRESHES
    seconds = queries.seconds_until_allowed(session, RefreshToken.used_at, limit, of_it, now=now)
    if seconds:
        raise attempts.TooManyRequests(retry_after=seconds)
