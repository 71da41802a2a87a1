"""Work that is pending on accounts and done by periodic jobs.

These are small tables of their own so that the account needs no index for them.
"""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base


class UnpublishedBalance(Base):
    """An account whose balance has changed and is to be published.

    However often it changes in the meantime, it is published once. Written and deleted under the
    account's lock.
    """

    __tablename__ = "unsaid_figures"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)


class TopUpOrder(Base):
    """An automatic top-up to be tried at ``due_at``; at most one per account."""

    __tablename__ = "top_up_orders"
    __table_args__ = (Index("ix_top_up_orders_due_at", "due_at"),)
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant)


class LowCredit(Base):
    """An account whose usable credits fell to its provider's threshold.

    Deleted once the alert is published.
    """

    __tablename__ = "low_credits"
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    usable: Mapped[int] = mapped_column(BigInt)
    threshold: Mapped[int] = mapped_column(BigInt)
    crossed_at: Mapped[datetime] = mapped_column(Instant)
