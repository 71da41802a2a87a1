"""Transfers of ownership."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy import Boolean, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

_OPEN = text("status IN ('offered', 'scheduled')")


class OwnershipTransfer(Base):
    """A transfer from one member to another.

    ``status``: offered (by the owner, until the target accepts), scheduled (by the provider's
    owner), completed, undone, cancelled, expired. ``expires_at``: of the offer, or of the period in
    which a transfer by staff can be undone; of a scheduled one when it takes effect. ``to_role``:
    the role of the new owner before."""

    __tablename__ = "ownership_transfers"
    __table_args__ = (
        Index(
            "uq_ownership_transfers_open",
            "organization_id",
            unique=True,
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
        Index("ix_ownership_transfers_organization", "organization_id", "id"),
        Index(
            "ix_ownership_transfers_due",
            "expires_at",
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
    )
    id: Mapped[str] = mapped_column(Id("grt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    from_member_id: Mapped[str] = mapped_column(Id("mem"), ForeignKey("members.id"))
    to_member_id: Mapped[str] = mapped_column(Id("mem"), ForeignKey("members.id"))
    to_role: Mapped[str] = mapped_column(String(16))
    by_staff: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)

    def status_at(self, now: datetime) -> str:
        """The status now. An offer expires by time, whether or not that has been stored."""
        return "expired" if self.status == "offered" and self.expires_at <= now else self.status
