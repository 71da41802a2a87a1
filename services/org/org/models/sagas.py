"""Sagas: which long process with other services an organization is in, and what it waits for."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base


class Saga(Base):
    """One saga of an organization; ``kind`` and ``waiting_for`` are a row of ``org.sagas.table``.

    ``status_after``: the status that a reactivation restores. ``resend_at``: when the request is
    sent again if no reply has come; ``times_sent`` counts how often it was."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "ix_conversations_open",
            "organization_id",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_conversations_due",
            "ask_again_at",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id("cnv"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    deletion_id: Mapped[str | None] = mapped_column(Id("del"))
    kind: Mapped[str] = mapped_column(String(16))
    waiting_for: Mapped[str] = mapped_column(String(16))
    status_after: Mapped[str | None] = mapped_column("back_to", String(24))
    begun_at: Mapped[datetime] = mapped_column(Instant)
    times_sent: Mapped[int] = mapped_column("times_asked", Integer)
    resend_at: Mapped[datetime] = mapped_column("ask_again_at", Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
