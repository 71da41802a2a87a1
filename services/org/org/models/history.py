"""The merged audit of all services, from which timeline and audit are read, and from where things
were done."""

from datetime import datetime
from typing import Any

from chassis.audit import person_indexes
from chassis.db.columns import Id, Instant, Json
from sqlalchemy import Boolean, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base


class TrailEntry(Base):
    """A row of some service's audit, as it was published, or ``erased``, or without the names of
    people who were erased.

    ``actor_id``: who really acted, also where someone acted on behalf of another."""

    __tablename__ = "trail"
    __table_args__ = (
        Index("ix_trail_organization", "organization_id", "at", "id"),
        *(
            Index(f"ix_trail_{name}", "organization_id", name, "at", "id")
            for name in ("action", "outcome", "actor_id", "actor_kind", "target_id")
        ),
        *person_indexes("trail"),
    )
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    service: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(Instant)
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    actor: Mapped[dict[str, Any]] = mapped_column(Json)
    target: Mapped[dict[str, Any]] = mapped_column(Json)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(String(500))
    request_id: Mapped[str | None] = mapped_column(String(128))
    hash: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str] = mapped_column(Id("evt"))
    actor_id: Mapped[str | None] = mapped_column(String(128))
    actor_kind: Mapped[str | None] = mapped_column(String(16))
    target_id: Mapped[str | None] = mapped_column(String(128))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class ClientAddress(Base):
    """From where the request of an audit entry came (``id``: the entry's). Kept apart because
    entries never change, and this is deleted. ``is_own``: the request was the organization's own,
    so that it may see the address."""

    __tablename__ = "client_addresses"
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), index=True)
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    address: Mapped[str] = mapped_column(String(64))
    is_own: Mapped[bool] = mapped_column(Boolean)
