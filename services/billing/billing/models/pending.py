"""What is to be done about an account, by the clock: small tables, so that the account itself is
not indexed for it."""

from datetime import datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base


class UnpublishedBalance(Base):
    """An account whose figures have changed and are still to be said; however often it changes
    meanwhile, they are said once. Written and deleted under the account's lock."""

    __tablename__ = "unsaid_figures"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)


class TopUpOrder(Base):
    """An automatic top-up that is wanted, one per account at the most; tried at ``due_at``."""

    __tablename__ = "top_up_orders"
    __table_args__ = (Index("ix_top_up_orders_due_at", "due_at"),)
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant)


class LowCredit(Base):
    """An account whose usable credits have come down to its provider's threshold; deleted once
    somebody was told."""

    __tablename__ = "low_credits"
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    usable: Mapped[int] = mapped_column(BigInt)
    threshold: Mapped[int] = mapped_column(BigInt)
    crossed_at: Mapped[datetime] = mapped_column(Instant)


class LedgerAudit(Base):
    """What the auditor found when it went through a provider's books: how many accounts and rows,
    and each discrepancy as ``{organization_id, invariant, detail}``. ``status``: running | passed |
    failed. ``after``: the account it has come to; None once it has been through all of them.
    ``trial_balance``: by currency, the sums of debits and credits by account of the chart, and the
    customers' positive money, in millionths."""

    __tablename__ = "ledger_proofs"
    __table_args__ = (Index("ix_ledger_proofs_provider_id", "provider_id", "id"),)
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    provider_id: Mapped[str] = mapped_column(Id("org"))
    status: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    after: Mapped[str | None] = mapped_column(Id("org"))
    accounts: Mapped[int] = mapped_column(BigInt)
    entries: Mapped[int] = mapped_column(BigInt)
    trial_balance: Mapped[dict[str, dict[str, Any]]] = mapped_column(Json)
    discrepancies: Mapped[list[dict[str, str]]] = mapped_column(Json)
