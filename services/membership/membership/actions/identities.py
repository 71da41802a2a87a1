"""People who may log in."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from chassis.runtime import ids
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import mails, sessions
from membership.models import (
    Identity,
    KnownClient,
    LoginFailures,
    LoginSession,
    Mail,
    MailedToken,
    Member,
    RecoveryCode,
    Totp,
)
from membership.values import addresses
from membership.values.lifetimes import MAILED, RESET, UNDO
from membership.values.mails import PASSWORD_CHANGED

AT_ONCE = 500


def find_or_create_identity(
    session: Session, *, email: str, given_name: str, family_name: str, now: datetime
) -> Identity:
    """The person behind the address; an address already known is linked, not doubled."""
    address = addresses.key(email)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {
        "id": ids.new("idn"),
        "email": address,
        "given_name": given_name,
        "family_name": family_name,
        "status": "active",
        "created_at": now,
    }
    find = select(Identity).where(Identity.email == address).with_for_update(read=True)
    while (
        found := session.scalars(find).one_or_none()
    ) is None:  # again where it was erased while we waited
        session.execute(
            insert(Identity).values(row).on_conflict_do_nothing(index_elements=["email"])
        )
    return found


def forget_failures(session: Session, *, email: str) -> None:
    """Open every door again that wrong passwords for this address had shut."""
    known = session.scalars(
        select(KnownClient.client)
        .join(Identity, Identity.id == KnownClient.identity_id)
        .where(Identity.email == email)
    )
    keys = [queries.failures_key(email), *(queries.failures_key(email, client) for client in known)]
    session.execute(delete(LoginFailures).where(LoginFailures.key.in_(keys)))


def set_password(
    session: Session,
    *,
    identity: Identity,
    password_hash: str,
    now: datetime,
    spare: str | None = None,
) -> None:
    """Set the password, and end every session begun with the old one, but for ``spare``, and every
    other way to a new one; who had one before is told by mail."""
    if identity.password_hash is not None:
        _tell_of_password(session, identity, now)
    identity.password_hash = password_hash
    mails.supersede_resets(session, identity_id=identity.id, now=now)
    sessions.end_sessions(
        session, identity_id=identity.id, why="password_changed", now=now, spare=spare
    )


def erase_if_alone(session: Session, *, which: Iterable[str | None], now: datetime) -> None:
    """Erase what is personal of those people who belong nowhere, and who can't take a login back by
    an undo either."""
    session.flush()
    people = sorted({identity_id for identity_id in which if identity_id})
    for first in range(0, len(people), AT_ONCE):
        some = set(people[first : first + AT_ONCE])
        some -= _needed(session, some, now)
        active = (
            select(Identity.id)
            .where(Identity.id.in_(some), Identity.status == "active")
            .order_by(Identity.id)
        )
        alone = set(session.scalars(active.with_for_update()))
        # Asked again: whoever was linked while we waited for the locks is not alone any more.
        if alone := alone - _needed(session, alone, now):
            _erase(session, alone, now)


def _needed(session: Session, some: set[str], now: datetime) -> set[str | None]:
    """Whose login is somebody's, or may become that again."""
    here = Member.status.in_(queries.HERE)
    returns = (
        select(Identity.id)
        .join(Mail, Mail.email == Identity.email)
        .join(Member, Member.id == Mail.member_id)
        .where(
            Mail.purpose == UNDO,
            Mail.state != "dropped",
            Mail.created_at > now - MAILED[UNDO],
            here,
        )
    )
    belongs = select(Member.identity_id).where(Member.identity_id.in_(some), here)
    return {*session.scalars(belongs), *session.scalars(returns.where(Identity.id.in_(some)))}


def former_of(session: Session, member_ids: Any) -> Sequence[str]:
    """Those who had these members' logins before the address changed."""
    told = select(Mail.email).where(Mail.member_id.in_(member_ids), Mail.purpose == UNDO)
    return session.scalars(select(Identity.id).where(Identity.email.in_(told))).all()


def _erase(session: Session, alone: set[str], now: datetime) -> None:
    here = Identity.id.in_(alone)
    known = session.execute(
        select(Identity.email, KnownClient.client)
        .outerjoin(KnownClient, KnownClient.identity_id == Identity.id)
        .where(here)
    ).all()
    keys = {
        queries.failures_key(row.email, client)
        for row in known
        for client in (b"", row.client or b"")
    }
    session.execute(delete(LoginFailures).where(LoginFailures.key.in_(keys)))
    session.execute(
        delete(Mail).where(Mail.purpose == RESET, Mail.email.in_({row.email for row in known}))
    )
    for personal in (MailedToken, KnownClient, RecoveryCode, Totp):
        session.execute(delete(personal).where(personal.identity_id.in_(alone)))
    open_ = (LoginSession.identity_id.in_(alone), LoginSession.ended_at.is_(None))
    for identity_id in sorted(set(session.scalars(select(LoginSession.identity_id).where(*open_)))):
        sessions.end_sessions(session, identity_id=identity_id, why="erased", now=now)
    session.execute(
        update(Identity)
        .where(here)
        .values(
            email=None,
            email_verified_at=None,
            password_hash=None,
            last_member_id=None,
            given_name="",
            family_name="",
            status="erased",
        )
    )


def _tell_of_password(session: Session, identity: Identity, now: datetime) -> None:
    places = queries.places(session, identity.id)
    if places and identity.email:
        mails.queue_notice(
            session,
            purpose=PASSWORD_CHANGED,
            organization=places[0].organization,
            email=identity.email,
            name=identity.given_name,
            now=now,
        )
