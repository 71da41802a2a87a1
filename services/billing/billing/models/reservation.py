"""Reservations: credits held for work in progress."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base

OPEN_ONLY = "status = 'open'"


def status_at(status: str, expires_at: datetime, now: datetime) -> str:
    """The status at ``now`` of a reservation with this stored status: once it ends, an open one has
    expired, whether or not the job has released what it held."""
    return "expired" if status == "open" and expires_at <= now else status


class Reservation(Base):
    """An amount set aside, in millionths; what is neither captured nor released is still held.

    ``status``: open | captured | released | expired. After ``expires_at`` nothing can be captured,
    whether or not the job has expired it yet. ``settled_at``: when nothing was left. Written under
    the account's lock.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("amount > 0", "amount"),
        CheckConstraint(
            "captured >= 0 AND released >= 0 AND captured + released <= amount", "parts"
        ),
        CheckConstraint("status IN ('open', 'captured', 'released', 'expired')", "status"),
        CheckConstraint("status = 'open' OR captured + released = amount", "settled"),
        Index(
            "ix_reservations_expires_at",
            "expires_at",
            postgresql_where=text(OPEN_ONLY),
            sqlite_where=text(OPEN_ONLY),
        ),
        Index("ix_reservations_status", "organization_id", "status", "id"),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    id: Mapped[str] = mapped_column(Id("res"), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInt)
    captured: Mapped[int] = mapped_column(BigInt, default=0)
    released: Mapped[int] = mapped_column(BigInt, default=0)
    status: Mapped[str] = mapped_column(String(16), default="open")
    description: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    settled_at: Mapped[datetime | None] = mapped_column(Instant)


class Held(NamedTuple):
    """A reservation as postings read and change it; the columns of its row."""

    organization_id: UUID
    id: str
    amount: int
    captured: int
    released: int
    status: str
    description: str
    expires_at: datetime
    created_at: datetime
    settled_at: datetime | None

    @property
    def left(self) -> int:
        """The amount still held."""
        return self.amount - self.captured - self.released

    def less(self, *, captured: int, released: int) -> "Held":
        """What is left of it after these amounts."""
        return self._replace(captured=self.captured + captured, released=self.released + released)

    def settled(self, status: str, at: datetime) -> "Held":
        """Closed, as nothing is left."""
        return self._replace(status=status, settled_at=at)
