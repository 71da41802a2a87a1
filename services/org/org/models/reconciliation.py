"""Reconciliation: how far it is, which organizations are being checked, what differs."""

from datetime import datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from chassis.runtime import clock
from sqlalchemy import Boolean, Index, Integer, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base

_NOT_REPAIRED = text("repaired_at IS NULL")


class ReconciliationPass(Base):
    """A pass through all organizations. ``after``: the one it has reached. ``organizations``: how
    many it has compared; ``checked``: how many of them the other services were asked about."""

    __tablename__ = "reconciliation_passes"
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    started_at: Mapped[datetime] = mapped_column(Instant)
    after: Mapped[str | None] = mapped_column(Id("org"))
    organizations: Mapped[int] = mapped_column(Integer)
    checked: Mapped[int] = mapped_column(Integer)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class Check(Base):
    """A service was asked to report what it stores of an organization and has not replied.
    ``settings_version``: of a provider, the version of its settings when it was asked.
    ``may_reopen``: whether an operator allowed repairs that open an account or access."""

    __tablename__ = "reconciliation_checks"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    service: Mapped[str] = mapped_column(String(16), primary_key=True)
    id: Mapped[str] = mapped_column(Id("chk"))
    settings_version: Mapped[int] = mapped_column(Integer)
    requested_at: Mapped[datetime] = mapped_column(Instant, index=True)
    may_reopen: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class Difference(Base):
    """Org and a service disagree about an organization. ``kind``: missing (the service does not
    know it), unknown (org does not), state, figures or settings. ``ours``, ``theirs``: what each
    side has, as far as it differs. ``repair``: what was begun to correct it, None if it is only
    reported. ``repaired_at``: when the two sides agreed again."""

    __tablename__ = "differences"
    __table_args__ = (
        Index(
            "ix_differences_last_seen_at",
            "last_seen_at",
            postgresql_where=_NOT_REPAIRED,
            sqlite_where=_NOT_REPAIRED,
        ),
    )
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    service: Mapped[str] = mapped_column(String(16), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    ours: Mapped[dict[str, Any]] = mapped_column(Json)
    theirs: Mapped[dict[str, Any]] = mapped_column(Json)
    first_seen_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    repair: Mapped[str | None] = mapped_column(String(24))
    repaired_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def in_words(self) -> str:
        """One line for operators."""
        repair = f"repair: {self.repair}" if self.repair else "not repaired"
        return (
            f"{self.organization_id} {self.service} {self.kind}: org has {_shown(self.ours)},"
            f" {self.service} has {_shown(self.theirs)}; since {clock.stamp(self.first_seen_at)};"
            f" {repair}"
        )


def _shown(side: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in side.items()) or "nothing"
