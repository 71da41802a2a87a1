"""Organizations as membership knows them."""

from datetime import datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json, metadata
from sqlalchemy import Boolean, String, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of membership's tables."""

    metadata = metadata()


class Organization(Base):
    """An organization as membership knows it. ``state``: provisioning, open, suspended, ended,
    erased. ``mfa_required``: whether its people need one-time codes to use it; of a provider, what
    its settings say. ``provider_weakened_admins_at``: when its provider last took from an admin the
    right to stop a transfer of the ownership."""

    __tablename__ = "organizations"
    id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(Id("org"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16))
    managed_by: Mapped[str] = mapped_column(String(16))
    mfa_required: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    provider_weakened_admins_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)


class ProviderSettings(Base):
    """The provider's settings as last received from org."""

    __tablename__ = "provider_settings"
    provider_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInt)
    settings: Mapped[dict[str, Any]] = mapped_column(Json)
