"""Deletions: the request to delete an organization and its outcome."""

from datetime import datetime
from typing import Any

from chassis.db.columns import Id, Instant, Json
from chassis.errors import Gone
from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base


class GraceOver(Gone):
    code = "grace_over"
    detail = "The grace period is over. The organization is being deleted."


class Deletion(Base):
    """A request to delete an organization.

    ``status``: asked, refused, scheduled, cancelled, purging or completed. ``due_at``: when the
    purge is to be tried next."""

    __tablename__ = "deletions"
    __table_args__ = (
        Index("ix_deletions_organization", "organization_id", "requested_at"),
        Index(
            "ix_deletions_due",
            "due_at",
            postgresql_where=text("status = 'scheduled'"),
            sqlite_where=text("status = 'scheduled'"),
        ),
    )
    id: Mapped[str] = mapped_column(Id("del"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    status: Mapped[str] = mapped_column(String(16))
    status_before: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str | None] = mapped_column(String(500))
    requested_by: Mapped[dict[str, Any]] = mapped_column(Json)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    purge_at: Mapped[datetime | None] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    blockers: Mapped[list[dict[str, Any]]] = mapped_column(Json)

    def refuse(self, blockers: list[dict[str, Any]]) -> None:
        """The account is not empty: the deletion ends here."""
        self.status = "refused"
        self.blockers = blockers

    def schedule(self, now: datetime, purge_at: datetime) -> None:
        """Account and access are closed: the purge is due at ``purge_at``."""
        self.status = "scheduled"
        self.confirmed_at = now
        self.blockers = []
        self.purge_at = self.due_at = purge_at

    def cancel(self, now: datetime) -> None:
        """Undo a scheduled deletion. Raises GraceOver from ``purge_at`` on."""
        if self.status != "scheduled" or self.purge_at is None or now >= self.purge_at:
            raise GraceOver()
        self.status = "cancelled"

    def postpone(self, blockers: list[dict[str, Any]], until: datetime) -> None:
        """The purge found blockers: it is tried again at ``until``."""
        self.status = "scheduled"
        self.blockers = blockers
        self.due_at = until

    def complete(self, now: datetime) -> None:
        """The organization is deleted."""
        self.status = "completed"
        self.completed_at = now
