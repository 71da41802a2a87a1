"""The feed of revocations."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from org.models import Revocation

OVERLAP = timedelta(seconds=30)
RETENTION = timedelta(minutes=65)  # longer than any token is valid


def revocation_feed(session: Session, *, after: int, now: datetime) -> Sequence[Revocation]:
    """Everything after ``after``, and again whatever is younger than the longest transaction:
    numbers are not assigned in the order of commits."""
    if after:
        wanted = or_(Revocation.seq > after, Revocation.at > now - OVERLAP)
    else:
        wanted = Revocation.at > now - RETENTION
    return session.scalars(select(Revocation).where(wanted).order_by(Revocation.seq)).all()


def expired_revocations(session: Session, *, now: datetime, limit: int) -> Sequence[Revocation]:
    """Rows that no valid token can meet, except the last: SQLite would assign its number again."""
    last = select(func.max(Revocation.seq)).scalar_subquery()
    expired = select(Revocation).where(Revocation.at < now - RETENTION, Revocation.seq < last)
    return session.scalars(expired.limit(limit)).all()
