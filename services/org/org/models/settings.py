"""Settings of a provider."""

from typing import Any

from chassis.db.columns import Id, Json
from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from org.models.table import Base
from org.values.settings import effective


class ProviderSettings(Base):
    """A provider's settings. ``applied``: service -> the version that it applies."""

    __tablename__ = "provider_settings"
    provider_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    chosen: Mapped[dict[str, Any]] = mapped_column(Json)
    applied: Mapped[dict[str, int]] = mapped_column(Json)

    @property
    def effective(self) -> dict[str, Any]:
        """All settings: what was chosen, the default where nothing was."""
        return effective(self.chosen)

    def applied_by(self, services: tuple[str, ...]) -> list[str]:
        """Those of the services that apply the latest version."""
        return [name for name in services if self.applied.get(name, 0) >= self.version]
