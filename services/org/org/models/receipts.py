"""Receipts: what staff changed in an organization, for its owner."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base


class Receipt(Base):
    """A receipt to be published at ``due_at``, when the audit of the acting session has arrived."""

    __tablename__ = "receipts"
    acting_id: Mapped[str] = mapped_column(Id("ses"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant, index=True)
