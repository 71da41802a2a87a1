"""Accounts: one per customer, and the only lock of its money."""

from datetime import date, datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from sqlalchemy import Boolean, CheckConstraint, Date, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.figures import Buckets, Figures
from billing.models.table import Base
from billing.values import AUTO_TOP_UP_PERCENT, CLOSED, POSTPAID, SEALED, Code, percent

LIMIT = 10**18


class Account(Base):
    """A customer's money, its limit and what is printed on its invoices. Every amount is in
    millionths.

    ``temporary_limit`` holds until ``credit_limit_expires_at``, then ``credit_limit`` again. ``in_flight``: payments
    begun and not yet known. ``seq``: the last row of its journal. ``closed_from``: its status before it was closed.
    ``auto_threshold`` None: 20 % of the last top-up.

    ``on_wallet``: what its entries did to the provider's balance at the platform, in all. ``balance_published_at``: as of when its
    figures were last said, ``published_days_to_empty``: the days to empty among them, ``days_due_on``: the day on which those must
    be counted anew, because they change with the days alone; None while nothing is burnt."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("payment_mode IN ('prepaid', 'postpaid')", "payment_mode"),
        CheckConstraint("status IN ('open', 'frozen', 'closed', 'sealed')", "status"),
        CheckConstraint(f"prepaid > -{LIMIT} AND prepaid < {LIMIT}", "prepaid"),
        CheckConstraint(f"surplus >= 0 AND surplus < {LIMIT}", "surplus"),
        CheckConstraint(f"unbilled >= 0 AND unbilled < {LIMIT}", "unbilled"),
        CheckConstraint(f"invoiced >= 0 AND invoiced < {LIMIT}", "invoiced"),
        CheckConstraint(f"held >= 0 AND held < {LIMIT}", "held"),
        CheckConstraint(
            "credit_limit >= 0 AND (temporary_limit IS NULL OR temporary_limit >= 0)",
            "credit_limit",
        ),
        CheckConstraint(
            "status NOT IN ('closed', 'sealed') OR (prepaid = 0 AND surplus = 0 AND unbilled = 0 AND invoiced = 0"
            " AND held = 0 AND in_flight = 0)",
            "closed_is_empty",
        ),
        Index("ix_accounts_provider_id", "provider_id", "currency"),
        Index("ix_accounts_page", "provider_id", "organization_id"),
        Index(
            "ix_accounts_credit_limit_expires_at",
            "credit_limit_expires_at",
            postgresql_where=text("credit_limit_expires_at IS NOT NULL"),
            sqlite_where=text("credit_limit_expires_at IS NOT NULL"),
        ),
        Index(
            "ix_accounts_month_ends_at",
            "month_ends_at",
            postgresql_where=text("month_ends_at IS NOT NULL"),
            sqlite_where=text("month_ends_at IS NOT NULL"),
        ),
        Index(
            "ix_accounts_days_due_on",
            "days_due_on",
            postgresql_where=text("days_due_on IS NOT NULL"),
            sqlite_where=text("days_due_on IS NOT NULL"),
        ),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(Id("org"))
    currency: Mapped[str] = mapped_column(String(3))
    payment_mode: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="open")
    closed_from: Mapped[str | None] = mapped_column(String(16))
    credit_limit: Mapped[int] = mapped_column(BigInt, default=0)
    temporary_limit: Mapped[int | None] = mapped_column(BigInt)
    credit_limit_expires_at: Mapped[datetime | None] = mapped_column(Instant)
    prepaid: Mapped[int] = mapped_column(BigInt, default=0)
    surplus: Mapped[int] = mapped_column(BigInt, default=0)
    unbilled: Mapped[int] = mapped_column(BigInt, default=0)
    invoiced: Mapped[int] = mapped_column(BigInt, default=0)
    held: Mapped[int] = mapped_column(BigInt, default=0)
    in_flight: Mapped[int] = mapped_column(BigInt, default=0)
    seq: Mapped[int] = mapped_column(BigInt, default=0)
    on_wallet: Mapped[int] = mapped_column(BigInt, default=0)
    balance_published_at: Mapped[datetime | None] = mapped_column("said_at", Instant)
    published_days_to_empty: Mapped[int | None] = mapped_column("days_said", Integer)
    days_due_on: Mapped[date | None] = mapped_column(Date)
    invoiced_seq: Mapped[int] = mapped_column(BigInt, default=0, server_default="0")
    month_ends_at: Mapped[datetime | None] = mapped_column(Instant)
    invoices: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    credit_notes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    auto_last_on: Mapped[date | None] = mapped_column(Date)
    last_top_up: Mapped[int | None] = mapped_column(BigInt)
    auto_enabled: Mapped[bool] = mapped_column(Boolean, default=False)
    auto_threshold: Mapped[int | None] = mapped_column(BigInt)
    auto_amount: Mapped[int | None] = mapped_column(BigInt)
    auto_method: Mapped[str | None] = mapped_column(String(16))
    payment_method: Mapped[dict[str, Any] | None] = mapped_column(Json)
    name: Mapped[str] = mapped_column(String(255))
    country: Mapped[str] = mapped_column(String(2))
    timezone: Mapped[str] = mapped_column(String(64))
    billing: Mapped[dict[str, Any]] = mapped_column(Json)
    buyer_tags: Mapped[dict[str, Any]] = mapped_column(Json)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be posted any more."""
        return self.status in (CLOSED, SEALED)

    @property
    def buckets(self) -> Buckets:
        """Its buckets as they stand."""
        return Buckets(
            prepaid=self.prepaid,
            surplus=self.surplus,
            unbilled=self.unbilled,
            invoiced=self.invoiced,
            held=self.held,
        )

    @property
    def charge_bucket(self) -> Code:
        """The bucket that charges take from."""
        return Code.UNBILLED if self.payment_mode == POSTPAID else Code.PREPAID

    @property
    def deposit_bucket(self) -> Code:
        """The bucket that money comes into and is paid out of."""
        return Code.SURPLUS if self.payment_mode == POSTPAID else Code.PREPAID

    @property
    def auto_top_up_threshold(self) -> int | None:
        """The one that was set, else 20 % of the last top-up."""
        if self.auto_threshold is not None or self.last_top_up is None:
            return self.auto_threshold
        return percent(self.last_top_up, AUTO_TOP_UP_PERCENT)

    @property
    def top_up_trigger(self) -> int | None:
        """At how many usable credits an automatic top-up is wanted; None where it is off, or
        nothing was topped up."""
        return self.auto_top_up_threshold if self.auto_enabled else None

    def temporary_limit_ends(self, now: datetime) -> datetime | None:
        """When the temporary limit ends; None when there is none any more."""
        ends = self.credit_limit_expires_at
        return ends if ends is not None and now < ends else None

    def limit_at(self, now: datetime) -> int:
        """The limit in force: the temporary one until it ends, then the last permanent one."""
        if self.temporary_limit is not None and self.temporary_limit_ends(now):
            return self.temporary_limit
        return self.credit_limit

    def figures(self, now: datetime) -> Figures:
        """Its figures at this instant."""
        return Figures(
            payment_mode=self.payment_mode, limit=self.limit_at(now), buckets=self.buckets
        )

    def set_buckets(self, buckets: Buckets) -> None:
        """Take over the buckets after a transfer."""
        self.prepaid, self.surplus, self.unbilled = (
            buckets.prepaid,
            buckets.surplus,
            buckets.unbilled,
        )
        self.invoiced, self.held = buckets.invoiced, buckets.held

    def stamp_publication(self, now: datetime) -> datetime:
        """As of when figures said now hold: never before those said last. Whoever waited for the
        lock began before whoever had it, and those who hear drop figures that are older than what
        they know."""
        self.balance_published_at = (
            now if self.balance_published_at is None else max(now, self.balance_published_at)
        )
        return self.balance_published_at

    def set_limit(self, limit: int, expires_at: datetime | None) -> None:
        """Make the limit temporary until ``expires_at``, or permanent where that is None."""
        if expires_at is None:
            self.credit_limit, self.temporary_limit = limit, None
        else:
            self.temporary_limit = limit
        self.credit_limit_expires_at = expires_at
