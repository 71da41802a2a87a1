"""Identities: people who may log in."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis import email_addresses, errors
from chassis.db import upserts
from chassis.runtime import ids
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, logouts, mails, person_names
from membership.models import (
    Authenticator,
    Identity,
    KnownClient,
    LoginSession,
    Mail,
    MailedToken,
    Member,
    RecoveryCode,
)
from membership.values.lifetimes import LINK_LIFETIMES, RESET, UNDO
from membership.values.mails import PASSWORD_CHANGED

BATCH = 500
_ERASED = {
    "email": None,
    "pending_email": None,
    "email_verified_at": None,
    "password_hash": None,
    "last_member_id": None,
    "code_failures": 0,
    "codes_blocked_until": None,
    "short_password": False,
    "given_name": "",
    "family_name": "",
    "status": "erased",
}


def find_or_create_identity(session: Session, *, email: str, now: datetime) -> Identity:
    """The identity with this address, created without a name if there is none: nobody else names
    a person."""
    address = email_addresses.key(email)
    row = {
        "id": ids.new_random("idn"),  # it must not tell its age
        "email": address,
        "given_name": "",
        "family_name": "",
        "status": "active",
        "created_at": now,
    }
    query = select(Identity).where(Identity.email == address).with_for_update(read=True)
    identity = session.scalars(query).one_or_none()
    while identity is None:  # repeated if it was erased while we waited for the lock
        session.execute(
            upserts.insert(session, Identity)
            .values(row)
            .on_conflict_do_nothing(index_elements=["email"])
        )
        identity = session.scalars(query).one_or_none()
    return identity


def accept(
    session: Session,
    *,
    identity: Identity,
    member: Member,
    password_hash: str | None,
    chosen: Mapping[str, str],
    now: datetime,
) -> None:
    """The person proves their address, and chooses a password and name where they have none. Raises
    Invalid where a password is missing."""
    if password_hash is None and identity.password_hash is None:
        raise errors.invalid("/password", "required", "Choose a password.")
    if password_hash is not None:
        attempts.clear_password_failures(session, email=identity.email or "")
        set_password(session, identity=identity, password_hash=password_hash, now=now)
    person_names.choose_on_joining(identity, member, chosen)
    identity.email_verified_at = identity.email_verified_at or now


def set_password(
    session: Session,
    *,
    identity: Identity,
    password_hash: str,
    now: datetime,
    spare: str | None = None,
) -> None:
    """Set the password. Every session except ``spare`` ends, links to reset the password or
    the one-time codes stop working, and a person who had a password before is notified by email."""
    if identity.password_hash is not None:
        _notify_of_new_password(session, identity, now)
    identity.password_hash = password_hash
    mails.supersede_reset_links(session, identity_id=identity.id, now=now)
    mails.supersede_codes_links(session, identity_id=identity.id, now=now)
    logouts.end_sessions(
        session, identity_id=identity.id, why="password_changed", now=now, spare=spare
    )


def erase_if_unused(session: Session, *, which: Iterable[str | None], now: datetime) -> None:
    """Erase the personal data of those identities that have no membership and cannot take back a
    login by an undo link."""
    session.flush()
    identity_ids = sorted({identity_id for identity_id in which if identity_id})
    for first in range(0, len(identity_ids), BATCH):
        batch = set(identity_ids[first : first + BATCH])
        batch -= _needed(session, batch, now)
        active = (
            select(Identity.id)
            .where(Identity.id.in_(batch), Identity.status == "active")
            .order_by(Identity.id)
        )
        unused = set(session.scalars(active.with_for_update()))
        # Checked again: some may have become members while we waited for the locks.
        unused -= _needed(session, unused, now)
        if unused:
            _erase(session, unused, now)


def _needed(session: Session, identity_ids: set[str], now: datetime) -> set[str | None]:
    """Those of the identities that have a membership or may get one back by an undo link."""
    is_current = Member.status.in_(queries.CURRENT_STATUSES)
    is_older = Mail.identity_id.is_(None)  # than the rule that emails say whose address changes
    by_undo = (
        select(Identity.id)
        .join(Mail, or_(Mail.identity_id == Identity.id, is_older & (Mail.email == Identity.email)))
        .join(Member, Member.id == Mail.member_id)
        .where(
            Mail.purpose == UNDO,
            Mail.state != "dropped",
            Mail.created_at > now - LINK_LIFETIMES[UNDO],
            is_current,
            Identity.id.in_(identity_ids),
        )
    )
    by_membership = select(Member.identity_id).where(
        Member.identity_id.in_(identity_ids), is_current
    )
    return {*session.scalars(by_membership), *session.scalars(by_undo)}


def former_identities(session: Session, member_ids: Any) -> Sequence[str]:
    """The identities that had these members' logins before an address change."""
    sent = select(Mail).where(Mail.member_id.in_(member_ids), Mail.purpose == UNDO)
    return former_of(session, session.scalars(sent).all())


def former_of(session: Session, undo_mails: Sequence[Mail]) -> Sequence[str]:
    """The identities to which these emails offered to undo a change."""
    emails = {mail.email for mail in undo_mails if mail.identity_id is None}
    ids_ = {mail.identity_id for mail in undo_mails if mail.identity_id}
    query = select(Identity.id).where(or_(Identity.id.in_(ids_), Identity.email.in_(emails)))
    return session.scalars(query).all()


def _erase(session: Session, identity_ids: set[str], now: datetime) -> None:
    which = Identity.id.in_(identity_ids)
    known = session.execute(
        select(Identity.email, KnownClient.client)
        .outerjoin(KnownClient, KnownClient.identity_id == Identity.id)
        .where(which)
    ).all()
    keys = {queries.failures_key(row.email) for row in known}
    keys |= {queries.failures_key(row.email, row.client) for row in known if row.client}
    attempts.clear_addresses(session, keys=keys)
    attempts.clear_uses(session, identity_ids=identity_ids)
    session.execute(
        delete(Mail).where(Mail.purpose == RESET, Mail.email.in_({row.email for row in known}))
    )
    of_person = (Mail.identity_id.in_(identity_ids), Mail.member_id.is_(None))
    session.execute(delete(Mail).where(*of_person))
    # Their links are known as spent until they would have expired.
    session.execute(
        update(MailedToken)
        .where(MailedToken.identity_id.in_(identity_ids))
        .values(email="", superseded_at=func.coalesce(MailedToken.superseded_at, now))
    )
    for personal in (Authenticator, KnownClient, RecoveryCode):
        session.execute(delete(personal).where(personal.identity_id.in_(identity_ids)))
    _end_sessions(session, identity_ids, now)
    session.execute(update(Identity).where(which).values(_ERASED))


def _end_sessions(session: Session, identity_ids: set[str], now: datetime) -> None:
    """End their sessions, and erase from where and with what they were used."""
    of_them = LoginSession.identity_id.in_(identity_ids)
    signed_in = select(LoginSession.identity_id).where(of_them, LoginSession.ended_at.is_(None))
    for identity_id in sorted(set(session.scalars(signed_in))):
        logouts.end_sessions(session, identity_id=identity_id, why="erased", now=now)
    session.execute(
        update(LoginSession).where(of_them).values(user_agent=None, client_address=None)
    )


def _notify_of_new_password(session: Session, identity: Identity, now: datetime) -> None:
    memberships = queries.memberships(session, identity.id)
    if memberships and identity.email:
        mails.queue_notice(
            session,
            purpose=PASSWORD_CHANGED,
            organization=memberships[0].organization,
            email=identity.email,
            now=now,
        )
