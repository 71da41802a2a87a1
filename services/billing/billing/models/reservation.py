"""Reservations: money held for what is going on."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base

OPEN_ONLY = "status = 'open'"


class Reservation(Base):
    """An amount set aside, in millionths: what of it was captured, what released; the rest is still
    held.

    ``status``: open | captured | released | expired. Past ``expires_at`` it captures nothing any more, whether or not
    it has been swept. ``settled_at``: when nothing was left. Written under the account's lock."""

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

    @property
    def left(self) -> int:
        """What is still held."""
        return self.amount - self.captured - self.released

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.status == "expired" or (self.status == "open" and now >= self.expires_at)

    def settle(self, status: str, at: datetime) -> None:
        """Nothing is left, and this is how it ended."""
        self.status, self.settled_at = status, at
