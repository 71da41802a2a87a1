"""Providers: whom the customers are customers of."""

from typing import Any

from chassis.db.columns import BigInt, Id, Json
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base
from billing.values import SETTINGS


class Provider(Base):
    """What billing knows of a provider, and the lock of its own journal.

    Unknown until heard: ``name``, ``country``, ``currency``, ``timezone``, and ``billing``, its own
    address for invoices. ``seq``: the last row of the provider's own journal. The balance at the
    platform is never kept here, where every charge would wait for it: it is the sum of that journal
    and of what each account did to it."""

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
        """What the provider works by, its own choice or what everybody begins with."""
        return self.settings.get(name, SETTINGS[name])
