"""API keys of organizations."""

from datetime import datetime

from chassis.db.columns import Id, Instant, Json
from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

_TO_SUSPEND, _UNCHECKED = text("suspend_at IS NOT NULL"), text("unchecked")


class ApiKey(Base):
    """Gives a program access to one organization, with some scopes.

    ``created_by``: its maker, an identity: who created or last adopted it. ``unchecked``:
    it is older than the rule that keys are suspended with their makers, and has not been checked;
    ``suspend_at``: when such a key will be suspended, whose maker had left."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_organization", "organization_id", "id"),
        Index(
            "ix_api_keys_suspend",
            "suspend_at",
            postgresql_where=_TO_SUSPEND,
            sqlite_where=_TO_SUSPEND,
        ),
        Index("ix_api_keys_unchecked", "id", postgresql_where=_UNCHECKED, sqlite_where=_UNCHECKED),
    )
    id: Mapped[str] = mapped_column(Id("key"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]] = mapped_column(Json)
    created_by: Mapped[str] = mapped_column(String(64), index=True)
    created_by_name: Mapped[str] = mapped_column(String(511))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    deleted_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    suspended_at: Mapped[datetime | None] = mapped_column(Instant)
    suspended_because: Mapped[str | None] = mapped_column(String(32))
    suspend_at: Mapped[datetime | None] = mapped_column(Instant)
    unchecked: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())

    def is_expired(self, now: datetime) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and self.expires_at <= now

    def status(self, now: datetime) -> str:
        """active, suspended or expired."""
        if self.is_expired(now):
            return "expired"
        return "active" if self.suspended_at is None else "suspended"


class ApiKeySecret(Base):
    """A secret of a key. Two overlap during a rotation; ``expires_at``: when the older one ends."""

    __tablename__ = "api_key_secrets"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    key_id: Mapped[str] = mapped_column(Id("key"), ForeignKey("api_keys.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
