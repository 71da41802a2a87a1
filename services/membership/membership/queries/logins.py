"""Logins, sessions and what was revoked."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Counter, Identity, LoginFailures, LoginSession, Organization, Revocation
from membership.values import addresses, tokens, waits

FEED_KEPT = timedelta(minutes=65)  # longer than any token lives


class Login(NamedTuple):
    """What a login is checked against; the same look-ups whether or not the address exists."""

    identity_id: str | None
    password_hash: str | None
    wait: int


def login(session: Session, email: str, now: datetime) -> Login:
    """What is needed to check a password for this address."""
    address = addresses.key(email)
    failures = session.get(LoginFailures, tokens.digest(address))
    found = session.scalars(select(Identity).where(Identity.email == address)).one_or_none()
    wait = waits.left(failures.count, failures.last_at, now) if failures else 0
    return Login(found.id if found else None, found.password_hash if found else None, wait)


def open_sessions(identity_id: str, now: datetime) -> Any:
    """The list of a person's sessions with their organizations, newest first."""
    return (
        select(LoginSession, Organization)
        .join(Organization, Organization.id == LoginSession.organization_id)
        .where(LoginSession.identity_id == identity_id, LoginSession.ended_at.is_(None), LoginSession.idle_at > now)
        .order_by(LoginSession.id.desc())
    )


def revocations(session: Session, after: int, now: datetime) -> tuple[list[Revocation], int]:
    """What was revoked after that number, and the last number. A reader that is ahead of us begins anew."""
    last = session.scalar(select(Counter.value).where(Counter.name == "revocations")) or 0
    begin = after if after <= last else 0
    query = select(Revocation).where(
        Revocation.seq > begin, Revocation.seq <= last, Revocation.at > now - FEED_KEPT
    )
    return list(session.scalars(query.order_by(Revocation.seq))), last
