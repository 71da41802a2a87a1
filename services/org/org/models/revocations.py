"""Revocations: the feed that tells the gateway whose tokens are void."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base


class Revocation(Base):
    """Tokens of an organization are void: all of them while it is ``closed``, those issued before
    ``at`` once it is ``open`` again."""

    __tablename__ = "revocations"
    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    state: Mapped[str] = mapped_column(String(8))
    at: Mapped[datetime] = mapped_column(Instant, index=True)
