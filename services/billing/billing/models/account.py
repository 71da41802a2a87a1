"""Accounts: one per customer. Its row is the only lock on the customer's money."""

from datetime import date, datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from sqlalchemy import Boolean, CheckConstraint, Date, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.figures import Buckets, Figures, charge_bucket, deposit_bucket
from billing.models.table import Base
from billing.values import AUTO_TOP_UP_PERCENT, CLOSED, POSTPAID, SEALED, Code, percent

LIMIT = 10**18


def limit_in_force(
    permanent: int, temporary: int | None, ends: datetime | None, now: datetime
) -> int:
    """The credit limit: the temporary one until it ends, then the permanent one."""
    if temporary is not None and ends is not None and now < ends:
        return temporary
    return permanent


def temporary_limit_ends(ends: datetime | None, now: datetime) -> datetime | None:
    """When the temporary limit ends; None if there is none in force."""
    return None if ends is None or ends <= now else ends


def top_up_threshold(chosen: int | None, last_top_up: int | None) -> int | None:
    """The usable credits at which an automatic top-up runs: as chosen, otherwise 20% of the last
    top-up."""
    if chosen is not None or last_top_up is None:
        return chosen
    return percent(last_top_up, AUTO_TOP_UP_PERCENT)


class Account(Base):
    """A customer's money, its credit limit and the details printed on its invoices.

    Every amount is in millionths. ``temporary_limit`` applies until ``credit_limit_expires_at``,
    then ``credit_limit`` again. ``in_flight``: payments started whose outcome is unknown. ``seq``:
    the last row of its journal; ``invoiced_seq``: the last row covered by a regular invoice.
    ``closed_from``: the status before closing. ``auto_threshold`` None: 20% of the last top-up.

    ``on_wallet``: the total effect of its entries on the provider's balance at the platform.
    ``balance_published_at``: the ``as_of`` of the last published balance.
    ``published_days_to_empty``: the days to empty in it. ``days_due_on``: the date on which they
    must be recounted, because they change as days pass; None while nothing is being spent.
    """

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
            "status NOT IN ('closed', 'sealed') OR (prepaid = 0 AND surplus = 0 AND unbilled = 0"
            " AND invoiced = 0 AND held = 0 AND in_flight = 0)",
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
    def days_are_counted(self) -> bool:
        """Whether it has days to empty as soon as something is spent."""
        return self.payment_mode != POSTPAID and not self.is_closed

    @property
    def buckets(self) -> Buckets:
        return Buckets(
            prepaid=self.prepaid,
            surplus=self.surplus,
            unbilled=self.unbilled,
            invoiced=self.invoiced,
            held=self.held,
        )

    @property
    def charge_bucket(self) -> Code:
        """The bucket that charges are taken from."""
        return charge_bucket(self.payment_mode)

    @property
    def deposit_bucket(self) -> Code:
        """The bucket that money is paid into and withdrawn from."""
        return deposit_bucket(self.payment_mode)

    @property
    def auto_top_up_threshold(self) -> int | None:
        """The threshold that was set, otherwise 20% of the last top-up."""
        return top_up_threshold(self.auto_threshold, self.last_top_up)

    @property
    def top_up_trigger(self) -> int | None:
        """The usable credits at which an automatic top-up is due.

        None if automatic top-ups are off, or there is no threshold.
        """
        return self.auto_top_up_threshold if self.auto_enabled else None

    def temporary_limit_ends(self, now: datetime) -> datetime | None:
        """When the temporary limit ends; None if there is none in force."""
        return temporary_limit_ends(self.credit_limit_expires_at, now)

    def limit_at(self, now: datetime) -> int:
        """The limit in force: the temporary one until it ends, then the permanent one."""
        ends = self.credit_limit_expires_at
        return limit_in_force(self.credit_limit, self.temporary_limit, ends, now)

    def figures(self, now: datetime) -> Figures:
        return Figures(
            payment_mode=self.payment_mode,
            limit=self.limit_at(now),
            prepaid=self.prepaid,
            surplus=self.surplus,
            unbilled=self.unbilled,
            invoiced=self.invoiced,
            held=self.held,
        )

    def stamp_publication(self, now: datetime) -> datetime:
        """The ``as_of`` of a balance published now: never before the last one published.

        A transaction that waited for the lock started before the one that held it, and consumers
        drop balances that are older than the one they have.
        """
        if self.balance_published_at is None or self.balance_published_at < now:
            self.balance_published_at = now
        return self.balance_published_at

    def set_limit(self, limit: int, expires_at: datetime | None) -> None:
        """Set a temporary limit until ``expires_at``, or a permanent one if that is None."""
        if expires_at is None:
            self.credit_limit, self.temporary_limit = limit, None
        else:
            self.temporary_limit = limit
        self.credit_limit_expires_at = expires_at
