"""How long a client or a recipient still has to wait."""

import hashlib
from datetime import datetime
from typing import Any

from chassis import email_addresses
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import FailedAttempts, Identity, KnownClient
from membership.values import attempt_limits, tokens
from membership.values.attempt_limits import Limit, Limits
from membership.values.clients import Client


def seconds_blocked(session: Session, limits: Limits, now: datetime) -> int:
    """Whole seconds for which one of these keys is blocked; 0 when none is."""
    blocked = session.scalars(
        select(FailedAttempts.blocked_until).where(
            FailedAttempts.key.in_(limits), FailedAttempts.blocked_until > now
        )
    )
    return max((attempt_limits.seconds_until(then, now) for then in blocked if then), default=0)


def seconds_until_allowed(
    session: Session, when: Any, limit: Limit, *which: Any, now: datetime
) -> int:
    """Whole seconds until the limit allows one more; 0 when it does now.

    Counts the rows that fit ``which`` by their time column ``when``."""
    query = (
        select(when)
        .where(*which, when > now - limit.within)
        .order_by(when.desc())
        .offset(limit.maximum - 1)
        .limit(1)
    )
    oldest = session.scalar(query)
    return 0 if oldest is None else attempt_limits.seconds_until(oldest + limit.within, now)


def known_client(session: Session, email: str, client: Client, now: datetime) -> bytes:
    """The browser, or else the network, if the person with this address has signed in from there
    lately; empty if not."""
    since = now - attempt_limits.KNOWN_CLIENT_RETENTION
    known = session.scalars(
        select(KnownClient.client)
        .join(Identity, Identity.id == KnownClient.identity_id)
        .where(
            Identity.email == email_addresses.key(email),
            KnownClient.client.in_(client),
            KnownClient.last_at > since,
        )
    ).all()
    return next((one for one in (client.browser, client.network) if one in known), b"")


def failures_key(email: str, client: bytes = b"") -> bytes:
    """The key for failed passwords of this address: from anywhere, or from one known network
    or browser."""
    anywhere = tokens.digest(email_addresses.key(email))
    return hashlib.sha256(client + anywhere).digest() if client else anywhere
