"""API keys of organizations."""

from datetime import datetime

from chassis.db.columns import Id, Instant, Json
from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base


class ApiKey(Base):
    """Gives a program access to one organization, with some scopes."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_organization", "organization_id", "id"),)
    id: Mapped[str] = mapped_column(Id("key"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]] = mapped_column(Json)
    created_by: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(511))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


class ApiKeySecret(Base):
    """A secret of a key. Two overlap during a rotation; ``expires_at``: when the older one ends."""

    __tablename__ = "api_key_secrets"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    key_id: Mapped[str] = mapped_column(Id("key"), ForeignKey("api_keys.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
