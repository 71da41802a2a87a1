"""Where the surplus of an account came from, and what each part of it has paid."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base

UNASSIGNED_ONLY = "unassigned > 0"


class Source(Base):
    """A transaction that added to the surplus: a payment, a top-up, a credit. In millionths.

    ``seq``: its place in the journal; older money is used first. ``amount``: what it added;
    ``unassigned``: what of that is still surplus. ``payment_id``: the payment, if it is one.
    """

    __tablename__ = "sources"
    __table_args__ = (
        CheckConstraint("amount > 0", "amount"),
        CheckConstraint("unassigned >= 0 AND unassigned <= amount", "unassigned"),
        Index(
            "ix_sources_unassigned",
            "organization_id",
            "seq",
            postgresql_where=text(UNASSIGNED_ONLY),
            sqlite_where=text(UNASSIGNED_ONLY),
        ),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    transaction_id: Mapped[str] = mapped_column(Id("txn"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInt)
    kind: Mapped[str] = mapped_column(String(24))
    payment_id: Mapped[str | None] = mapped_column(Id("pay"))
    amount: Mapped[int] = mapped_column(BigInt)
    unassigned: Mapped[int] = mapped_column(BigInt)


class Allocation(Base):
    """What a row of the journal took from a source, or, below zero, gave back to it.

    Never changed once written. ``seq``: the row. ``invoice_id``: the invoice that it paid; None if
    the money left the surplus otherwise. What an invoice was paid is the sum of its allocations,
    and what is unassigned of a source its amount less all of them.
    """

    __tablename__ = "allocations"
    __table_args__ = (
        CheckConstraint("amount <> 0", "amount"),
        Index("ix_allocations_source_id", "organization_id", "source_id"),
        Index(
            "ix_allocations_invoice_id",
            "organization_id",
            "invoice_id",
            postgresql_where=text("invoice_id IS NOT NULL"),
            sqlite_where=text("invoice_id IS NOT NULL"),
        ),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    source_id: Mapped[str] = mapped_column(Id("txn"), primary_key=True)
    invoice_id: Mapped[str | None] = mapped_column(Id("inv"))
    amount: Mapped[int] = mapped_column(BigInt)
    posted_at: Mapped[datetime] = mapped_column(Instant)
