"""The tables of the audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from chassis.db.columns import Base, BigInt, Id, Instant, Json

BEGINNING = "0" * 64


class AuditEntry(Base):
    """One thing somebody did or was denied. ``hash`` covers the row and the hash of the row before
    it.

    ``digests``: of actor, target, changes and reason under ``salt``; the oldest rows have none.
    ``erased``: these parts are what ``without_names`` leaves, and the salt is gone."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        UniqueConstraint("organization_id", "number"),
        Index("ix_audit_entries_organization_at", "organization_id", "at"),
    )
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    number: Mapped[int] = mapped_column(BigInt)
    at: Mapped[datetime] = mapped_column(Instant)
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    actor: Mapped[dict[str, Any]] = mapped_column(Json)
    target: Mapped[dict[str, Any]] = mapped_column(Json)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(String(500))
    request_id: Mapped[str | None] = mapped_column(String(128))
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    digests: Mapped[dict[str, str] | None] = mapped_column(Json)
    salt: Mapped[str | None] = mapped_column(String(32))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class AuditHead(Base):
    """The end of an organization's chain; locking it puts the rows in order. ``erased``: the chain
    names nobody, and never will."""

    __tablename__ = "audit_heads"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInt)
    hash: Mapped[str] = mapped_column(String(64))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
