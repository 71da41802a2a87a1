"""Sessions end, and their access tokens are revoked."""

from collections.abc import Sequence
from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from membership.actions import acting_sessions, revocations
from membership.models import LoginSession
from membership.values.lifetimes import ACCESS_TOKEN


class NoSuchSession(errors.NotFound):
    code = "not_found"
    detail = "There is no such session. It may have already ended."


def end_session(
    session: Session, *, session_id: str, identity_id: str, by: Actor, now: datetime
) -> None:
    """End one of a person's own sessions, or an acting session that they have as staff or in which
    staff act as them.

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
    """End the sessions that match all given ids, except ``spare``, and revoke their tokens; returns
    how many. Where they are all of a person, the sessions end too in which staff act as them."""
    query = select(LoginSession).where(
        LoginSession.ended_at.is_(None), LoginSession.expires_at > now - ACCESS_TOKEN
    )
    for column, value in (
        (LoginSession.id, session_id),
        (LoginSession.identity_id, identity_id),
        (LoginSession.member_id, member_id),
        (LoginSession.organization_id, organization_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if spare is not None:
        query = query.where(LoginSession.id != spare)
    logins = session.scalars(
        query.order_by(LoginSession.id).with_for_update().execution_options(populate_existing=True)
    ).all()
    acting_sessions.end_with_logins(
        session,
        logins=[login.id for login in logins],
        member_id=member_id,
        organization_id=organization_id,
        identity_id=identity_id if session_id is None else None,
        now=now,
    )
    _revoke(session, logins, now)
    for login in logins:
        login.ended_at, login.ended_why = now, why
    return len(logins)


def revoke_tokens_without_code(session: Session, *, organization_id: str, now: datetime) -> None:
    """Revoke the access tokens of sessions there that were authenticated without a one-time code:
    what they claim is outdated. Refreshing the session helps."""
    logins = session.scalars(
        select(LoginSession).where(
            LoginSession.organization_id == organization_id,
            LoginSession.with_otp.is_(False),
            LoginSession.ended_at.is_(None),
            LoginSession.last_used_at > now - 2 * ACCESS_TOKEN,
        )
    ).all()
    _revoke(session, logins, now)


def revoke_tokens(session: Session, *, member_id: str, now: datetime) -> None:
    """Revoke the member's access tokens: what they claim is outdated. Refreshing the session
    helps."""
    last_used_at = session.scalar(
        select(func.max(LoginSession.last_used_at)).where(LoginSession.member_id == member_id)
    )
    acting_sessions.end_with_role(session, member_id=member_id, now=now)
    before = {member_id: revocations.until(now, last_used_at)}
    revocations.revoke(session, kind="member", before=before, now=now)


def _revoke(session: Session, logins: Sequence[LoginSession], now: datetime) -> None:
    before = {login.id: revocations.until(now, login.last_used_at) for login in logins}
    revocations.revoke(session, kind="session", before=before, now=now)
