"""Providers: the organizations whose customers have accounts here."""

from typing import Any

from chassis.db.columns import BigInt, Id, Json
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base
from billing.values import DEFAULT_SETTINGS


class Provider(Base):
    """A provider, and the lock of its own journal.

    ``name``, ``country``, ``currency``, ``timezone`` and ``billing`` (its address on invoices) are
    None until a message brings them. ``seq``: the last row of the provider's own journal. The
    balance at the platform is not stored here, because every charge would wait for this row: it is
    the sum of that journal and of every account's ``on_wallet``.
    """

    __tablename__ = "providers"
    id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(255))
    country: Mapped[str | None] = mapped_column(String(2))
    currency: Mapped[str | None] = mapped_column(String(3))
    timezone: Mapped[str | None] = mapped_column(String(64))
    billing: Mapped[dict[str, Any] | None] = mapped_column(Json)
    settings: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    settings_version: Mapped[int] = mapped_column(BigInt, default=0)
    seq: Mapped[int] = mapped_column(BigInt, default=0)

    def setting(self, name: str) -> Any:
        """The provider's own value, or the default."""
        return self.settings.get(name, DEFAULT_SETTINGS[name])
