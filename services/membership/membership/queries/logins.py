"""Logins, sessions and what was revoked."""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from membership.models import (
    Counter,
    Guesses,
    Identity,
    KnownClient,
    LoginFailures,
    Organization,
    Revocation,
)
from membership.queries.organizations import settings_of
from membership.values import addresses, attempt_limits, tokens

FEED_KEPT = timedelta(minutes=65)  # longer than any token lives


class Login(NamedTuple):
    """What a login is checked against; the same look-ups whether or not the address exists.
    ``key``: of the failures that count; ``wait``: seconds."""

    identity_id: str | None
    password_hash: str | None
    key: bytes
    wait: int


class Demands(NamedTuple):
    """What an organization's provider wants of a session there: one-time codes at login, fresh
    proofs."""

    codes: bool
    proofs: bool


def login(
    session: Session, email: str, client: bytes, limits: attempt_limits.Limits, now: datetime
) -> Login:
    """What is needed to check a password for this address. Where somebody has logged in from
    before, only what went wrong there counts."""
    here = and_(
        KnownClient.identity_id == Identity.id,
        KnownClient.client == client,
        KnownClient.last_at > now - attempt_limits.KNOWN_FOR,
    )
    found = session.execute(
        select(Identity.id, Identity.password_hash, KnownClient.client)
        .outerjoin(KnownClient, here)
        .where(Identity.email == addresses.key(email))
    ).one_or_none()
    identity_id, password_hash, known = found or (None, None, None)
    key = failures_key(email, known or b"")
    failures = session.get(LoginFailures, key)
    wait = attempt_limits.left(failures.count, failures.last_at, now) if failures else 0
    return Login(identity_id, password_hash, key, max(wait, rest(session, limits, now)))


def rest(session: Session, limits: attempt_limits.Limits, now: datetime) -> int:
    """Whole seconds that whoever is counted there has to rest."""
    shut = session.scalars(
        select(Guesses.shut_until).where(Guesses.key.in_(limits), Guesses.shut_until > now)
    )
    return max((attempt_limits.until(then, now) for then in shut if then), default=0)


def failures_key(email: str, client: bytes = b"") -> bytes:
    """What wrong passwords for this address are counted under: of all the world, or of one known
    client."""
    general = tokens.digest(addresses.key(email))
    return hashlib.sha256(client + general).digest() if client else general


def demands(session: Session, organization: Organization) -> Demands:
    """What is demanded of sessions in this organization; codes only of the provider's own staff."""
    known = settings_of(session, organization.provider_id)
    settings = known.settings if known else {}
    codes = organization.kind == "provider" and settings.get("mfa_required") is True
    return Demands(codes, settings.get("step_up_required") is True)


def revocations(session: Session, after: int, now: datetime) -> tuple[list[Revocation], int]:
    """What was revoked after that number, and the last number. A reader that is ahead of us begins
    anew."""
    last = session.scalar(select(Counter.value).where(Counter.name == "revocations")) or 0
    begin = after if after <= last else 0
    query = select(Revocation).where(
        Revocation.seq > begin, Revocation.seq <= last, Revocation.at > now - FEED_KEPT
    )
    return list(session.scalars(query.order_by(Revocation.seq))), last
