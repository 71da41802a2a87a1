"""Settings of a provider."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from org.models import ProviderSettings


def provider_settings(
    session: Session, provider_id: str, *, lock: bool = False
) -> ProviderSettings:
    """The provider's settings; version 0 with nothing chosen if there are none yet."""
    query = select(ProviderSettings).where(ProviderSettings.provider_id == provider_id)
    if lock:
        query = query.with_for_update()
    settings = session.scalars(query).one_or_none()
    if settings is None:
        return ProviderSettings(provider_id=provider_id, version=0, chosen={}, applied={})
    return settings
