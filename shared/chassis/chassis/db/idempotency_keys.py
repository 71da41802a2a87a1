"""The table of used idempotency keys. ``chassis.http.idempotency`` uses it."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    delete,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.db.columns import Base, BigInt, Instant

RETENTION = timedelta(days=30)
_DELETE_BATCH = 1000


class IdempotencyKey(Base):
    """The first response under a key. ``scope``: a digest of organization, principal and route."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("scope", "key"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    scope: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(SmallInteger)
    content_type: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)


class RequestKey(NamedTuple):
    """A request with a key. ``scope``: a digest of organization, principal and route.
    ``fingerprint``: that of its body."""

    scope: str
    key: str
    fingerprint: str


class Answer(NamedTuple):
    """The response to a request, as it is stored under its key."""

    status: int
    content_type: str
    body: bytes


def delete_expired(session: Session, now: datetime) -> int:
    """Delete a batch of keys older than the retention. Returns how many were deleted."""
    expired = select(IdempotencyKey.id).where(IdempotencyKey.created_at < now - RETENTION)
    statement = delete(IdempotencyKey).where(IdempotencyKey.id.in_(expired.limit(_DELETE_BATCH)))
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
