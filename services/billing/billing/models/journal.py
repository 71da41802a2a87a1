"""The journal: append-only, one row per transfer with both legs."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import CheckConstraint, Date, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base

# A partial index serves only queries that repeat its condition literally.
FIRST = "part = 0"
FIRST_AND_RARE = "part = 0 AND kind <> 'usage'"
FIRST_AND_IN = "part = 0 AND moved > 0"


class Entry(Base):
    """One transfer.

    The rows of one transaction share ``transaction_id`` and are consecutive in ``seq``, which
    counts 1, 2, 3 … without a gap per organization. A provider has a journal of its own.

    The first row (``part`` 0) stands for the transaction: ``moved`` is its whole effect on the
    customer's net, positive in the customer's favor, and ``balance_after`` the balance afterwards.
    The buckets on each row are those after it. ``source``: the id of the usage record, unique per
    provider. ``invoice_id``: the invoice that the row issues, settles or credits; on a charge, its
    individual invoice. ``occurred_at``: when it happened; ``posted_at``: when it was posted.
    ``supplied_on``: the day of supply, if it is not that on which it happened.
    ``actor_kind``, ``actor_id``: who posted the transaction, on its first row; None if that was
    before it was recorded. There is no name, because the journal cannot be erased. Nobody posts
    while acting for somebody else.
    """

    __tablename__ = "journal"
    __table_args__ = (
        UniqueConstraint("organization_id", "transaction_id", "part"),
        CheckConstraint("amount > 0", "amount"),
        CheckConstraint("debit <> credit", "legs"),
        Index(
            "ix_journal_source",
            "source",
            "provider_id",
            unique=True,
            postgresql_where=text("source IS NOT NULL"),
            sqlite_where=text("source IS NOT NULL"),
        ),
        Index(
            "ix_journal_posted_at",
            "organization_id",
            "posted_at",
            postgresql_where=text(FIRST),
            sqlite_where=text(FIRST),
        ),
        Index(
            "ix_journal_kind",
            "organization_id",
            "kind",
            "seq",
            postgresql_where=text(FIRST_AND_RARE),
            sqlite_where=text(FIRST_AND_RARE),
        ),
        Index(
            "ix_journal_in",
            "organization_id",
            "seq",
            postgresql_where=text(FIRST_AND_IN),
            sqlite_where=text(FIRST_AND_IN),
        ),
        Index(
            "ix_journal_refunded_id",
            "organization_id",
            "refunded_id",
            postgresql_where=text("refunded_id IS NOT NULL"),
            sqlite_where=text("refunded_id IS NOT NULL"),
        ),
        Index(
            "ix_journal_invoice_id",
            "organization_id",
            "invoice_id",
            postgresql_where=text("invoice_id IS NOT NULL"),
            sqlite_where=text("invoice_id IS NOT NULL"),
        ),
        Index(
            "ix_journal_payment_id",
            "organization_id",
            "payment_id",
            postgresql_where=text("payment_id IS NOT NULL"),
            sqlite_where=text("payment_id IS NOT NULL"),
        ),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    transaction_id: Mapped[str] = mapped_column(Id("txn"))
    part: Mapped[int] = mapped_column(SmallInteger)
    provider_id: Mapped[str] = mapped_column(Id("org"))
    currency: Mapped[str] = mapped_column(String(3))
    kind: Mapped[str] = mapped_column(String(24))
    debit: Mapped[int] = mapped_column(SmallInteger)
    credit: Mapped[int] = mapped_column(SmallInteger)
    amount: Mapped[int] = mapped_column(BigInt)
    moved: Mapped[int] = mapped_column(BigInt)
    balance_after: Mapped[int] = mapped_column(BigInt)
    prepaid_after: Mapped[int] = mapped_column(BigInt)
    surplus_after: Mapped[int] = mapped_column(BigInt)
    unbilled_after: Mapped[int] = mapped_column(BigInt)
    invoiced_after: Mapped[int] = mapped_column(BigInt)
    held_after: Mapped[int] = mapped_column(BigInt)
    source: Mapped[str | None] = mapped_column(String(128))
    reservation_id: Mapped[str | None] = mapped_column(Id("res"))
    invoice_id: Mapped[str | None] = mapped_column(Id("inv"))
    payment_id: Mapped[str | None] = mapped_column(Id("pay"))
    refunded_id: Mapped[str | None] = mapped_column(Id("txn"))
    description: Mapped[str | None] = mapped_column(String(255))
    method: Mapped[str | None] = mapped_column(String(16))
    reference: Mapped[str | None] = mapped_column(String(255))
    remark: Mapped[str | None] = mapped_column(String(500))
    reason: Mapped[str | None] = mapped_column(String(500))
    external_invoice: Mapped[str | None] = mapped_column(String(255))
    actor_kind: Mapped[str | None] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    posted_at: Mapped[datetime] = mapped_column(Instant)
    supplied_on: Mapped[date | None] = mapped_column(Date)


class Row(NamedTuple):
    """A row of the journal that is posted without the ORM; the columns are those of ``Entry``."""

    organization_id: UUID
    seq: int
    transaction_id: UUID
    part: int
    provider_id: UUID
    currency: str
    kind: str
    debit: int
    credit: int
    amount: int
    moved: int
    balance_after: int
    prepaid_after: int
    surplus_after: int
    unbilled_after: int
    invoiced_after: int
    held_after: int
    occurred_at: datetime
    posted_at: datetime
    source: str | None = None
    description: str | None = None
    actor_kind: str | None = None
    actor_id: str | None = None
    reservation_id: UUID | None = None
    invoice_id: UUID | None = None
