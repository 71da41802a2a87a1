"""Invoices, their credit notes, and the payments that settle them."""

from datetime import date, datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from sqlalchemy import CheckConstraint, Date, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base
from billing.models.taxes import FIRST_DAY, Rate, RatePeriod
from billing.values import AWAITING, INDIVIDUAL, VOID, document_unit

AWAITING_ONLY = "status = 'awaiting_payment'"
NOT_YET_OVERDUE = "status = 'awaiting_payment' AND overdue_at IS NULL"
REGULAR_ONLY = "kind <> 'individual'"


class Invoice(Base):
    """A range of rows of an account's journal, charged to the customer. Amounts are in millionths.

    ``kind``: ``individual`` (one charge, whose row carries the invoice id), ``usage`` (the rest of
    a month if charges are invoiced individually), ``consolidated`` (a whole month), ``none`` (a
    month closed without sending an invoice). All except individual ones cover the journal without a
    gap. ``status``: awaiting_payment | paid | void. ``total`` is gross: that of the lines, and the
    ``rounding`` posted with it. ``tax``: the sum of ``taxes``, which says by name and rate what the
    lines contain. ``paid`` and ``credited``: the sums of the journal rows with its id. ``about``:
    names, addresses, tags and tax rates as of the day of issue, so that the same invoice can be
    rendered again byte for byte. ``due_until``: the end of ``due_on`` in the customer's time zone.
    ``overdue_at``: when it was reported as overdue.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("provider_id", "number"),
        CheckConstraint("kind IN ('individual', 'usage', 'consolidated', 'none')", "kind"),
        CheckConstraint("status IN ('awaiting_payment', 'paid', 'void')", "status"),
        CheckConstraint("total > 0", "total"),
        CheckConstraint("paid >= 0 AND credited >= 0 AND paid + credited <= total", "parts"),
        CheckConstraint("status <> 'paid' OR paid + credited = total", "paid"),
        CheckConstraint("to_seq >= from_seq", "range"),
        Index(
            "ix_invoices_awaiting",
            "organization_id",
            "id",
            postgresql_where=text(AWAITING_ONLY),
            sqlite_where=text(AWAITING_ONLY),
        ),
        Index(
            "ix_invoices_due_until",
            "due_until",
            postgresql_where=text(NOT_YET_OVERDUE),
            sqlite_where=text(NOT_YET_OVERDUE),
        ),
        Index(
            "ix_invoices_range",
            "organization_id",
            "to_seq",
            unique=True,
            postgresql_where=text(REGULAR_ONLY),
            sqlite_where=text(REGULAR_ONLY),
        ),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    id: Mapped[str] = mapped_column(Id("inv"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(Id("org"))
    number: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    currency: Mapped[str] = mapped_column(String(3))
    from_seq: Mapped[int] = mapped_column(BigInt)
    to_seq: Mapped[int] = mapped_column(BigInt)
    total: Mapped[int] = mapped_column(BigInt)
    rounding: Mapped[int] = mapped_column(BigInt, default=0, server_default="0")
    tax: Mapped[int] = mapped_column(BigInt)
    taxes: Mapped[list[dict[str, Any]]] = mapped_column(Json, server_default="[]")
    paid: Mapped[int] = mapped_column(BigInt, default=0)
    credited: Mapped[int] = mapped_column(BigInt, default=0)
    about: Mapped[dict[str, Any]] = mapped_column(Json)
    issued_on: Mapped[date] = mapped_column(Date)
    due_on: Mapped[date] = mapped_column(Date)
    due_until: Mapped[datetime] = mapped_column(Instant)
    issued_at: Mapped[datetime] = mapped_column(Instant)
    paid_at: Mapped[datetime | None] = mapped_column(Instant)
    voided_at: Mapped[datetime | None] = mapped_column(Instant)
    overdue_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def open(self) -> int:
        """The balance due."""
        if self.status == VOID:
            return 0
        return self.total - self.paid - self.credited

    @property
    def is_regular(self) -> bool:
        """Whether it covers all rows of its range that have no individual invoice."""
        return self.kind != INDIVIDUAL

    @property
    def unit(self) -> int:
        """What its total and taxes are multiples of."""
        return document_unit(self.about.get("rounding", "none"), self.currency)

    @property
    def tax_periods(self) -> tuple[RatePeriod, ...]:
        """The taxes on its lines by their day of supply. An old invoice has the same on all."""
        stored = self.about.get("tax_periods")
        if stored is None:
            rates = tuple(Rate(tax["name"], tax["rate"]) for tax in self.taxes)
            return (RatePeriod(FIRST_DAY, rates),)
        return tuple(
            RatePeriod(date.fromisoformat(day), tuple(Rate(*rate) for rate in rates))
            for day, rates in stored
        )

    def is_overdue(self, now: datetime) -> bool:
        """Whether it is unpaid after its due date."""
        return self.status == AWAITING and self.due_until <= now


class CreditNote(Base):
    """A full or partial credit of an invoice.

    ``taxes`` and their sum ``tax``: its share of the invoice's. ``rounding`` is part of ``amount``.
    ``about``: as on an invoice; None on old ones, which show what their invoice shows.
    ``transaction_id``: its transaction on the account.
    """

    __tablename__ = "credit_notes"
    __table_args__ = (
        UniqueConstraint("provider_id", "number"),
        CheckConstraint("amount > 0", "amount"),
        Index("ix_credit_notes_invoice_id", "organization_id", "invoice_id"),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    transaction_id: Mapped[str] = mapped_column(Id("txn"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(Id("org"))
    invoice_id: Mapped[str] = mapped_column(Id("inv"))
    number: Mapped[str] = mapped_column(String(32))
    amount: Mapped[int] = mapped_column(BigInt)
    rounding: Mapped[int] = mapped_column(BigInt, default=0, server_default="0")
    tax: Mapped[int] = mapped_column(BigInt)
    taxes: Mapped[list[dict[str, Any]]] = mapped_column(Json, server_default="[]")
    about: Mapped[dict[str, Any] | None] = mapped_column(Json)
    reason: Mapped[str] = mapped_column(String(500))
    issued_at: Mapped[datetime] = mapped_column(Instant)


class Payment(Base):
    """Money received for invoices.

    Its allocation to invoices is in the journal, in rows that carry both ids. ``edits``: how often
    it was reassigned. ``status``: received | reversed.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount > 0", "amount"),
        CheckConstraint("edits >= 0 AND edits <= 5", "edits"),
        CheckConstraint("status IN ('received', 'reversed')", "status"),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    id: Mapped[str] = mapped_column(Id("pay"), primary_key=True)
    transaction_id: Mapped[str] = mapped_column(Id("txn"))
    amount: Mapped[int] = mapped_column(BigInt)
    method: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str | None] = mapped_column(String(255))
    received_on: Mapped[date] = mapped_column(Date)
    status: Mapped[str] = mapped_column(String(16), default="received")
    edits: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
