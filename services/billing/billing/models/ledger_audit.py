"""Audits of the ledger: one row per pass through a provider's accounts."""

from datetime import datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base


class LedgerAudit(Base):
    """The result of one pass of the ledger audit through all accounts of a provider.

    ``status``: running | passed | failed. ``after``: the account that the pass has reached; None
    once it has covered all of them. ``trial_balance``: by currency, ``accounts`` (debits and
    credits by account of the chart) and ``customers`` (their positive money), in millionths.
    ``discrepancies``: each as ``{organization_id, invariant, detail}``.
    """

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
