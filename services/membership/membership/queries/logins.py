"""What a login is checked against, what it requires, and the feed of revocations."""

from datetime import datetime, timedelta
from typing import NamedTuple

from chassis import email_addresses
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import (
    Counter,
    Identity,
    LoginFailures,
    Organization,
    Revocation,
)
from membership.queries.attempts import failures_key, known_client, seconds_blocked
from membership.queries.organizations import settings_of
from membership.values import attempt_limits
from membership.values.attempt_limits import Limits
from membership.values.clients import Client

FEED_RETENTION = timedelta(minutes=65)  # longer than any token lives


class Login(NamedTuple):
    """What a password is checked against.

    ``is_known_client``: whether the person has signed in from there; ``key``: of the failures that
    count for this address and client; ``wait``: seconds until a password is compared."""

    identity_id: str | None
    password_hash: str | None
    is_known_client: bool
    key: bytes
    wait: int


class Requirements(NamedTuple):
    """What an organization requires of its sessions: one-time codes at login, re-authentication for
    sensitive actions."""

    codes: bool
    reauthentication: bool


def login(session: Session, email: str, client: Client, limits: Limits, now: datetime) -> Login:
    """What a password for this address is checked against. The queries are the same whether or not
    the address exists.

    In a browser or on a network where the person has signed in, only the failures made there
    count."""
    row = session.execute(
        select(Identity.id, Identity.password_hash).where(
            Identity.email == email_addresses.key(email)
        )
    ).one_or_none()
    identity_id, password_hash = row or (None, None)
    known = known_client(session, email, client, now)
    key = failures_key(email, known)
    failures = session.get(LoginFailures, key)
    network_wait = seconds_blocked(session, limits, now)
    wait = 0 if known else network_wait
    if failures is not None:
        wait = max(wait, attempt_limits.seconds_left(failures.count, failures.last_at, now))
    return Login(identity_id, password_hash, bool(known), key, wait)


def requirements(session: Session, organization: Organization) -> Requirements:
    """What sessions in this organization require. Staff who act there are bound by what their own
    provider requires."""
    known = settings_of(session, organization.provider_id)
    settings = known.settings if known else {}
    return Requirements(organization.mfa_required, settings.get("step_up_required") is True)


def revocations(session: Session, after: int, now: datetime) -> tuple[list[Revocation], int]:
    """The revocations after that number, and the last number. A reader that is ahead of the feed
    starts over."""
    last = session.scalar(select(Counter.value).where(Counter.name == "revocations")) or 0
    start = after if after <= last else 0
    query = select(Revocation).where(
        Revocation.seq > start, Revocation.seq <= last, Revocation.at > now - FEED_RETENTION
    )
    return list(session.scalars(query.order_by(Revocation.seq))), last
