"""Providers and their settings."""

from typing import Any

from chassis.db import upserts
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import Provider


def register_provider(
    session: Session, *, provider_id: str, name: str, country: str, currency: str, timezone: str
) -> None:
    """Store a provider's details; from now on it has a wallet."""
    provider = lock_provider(session, provider_id)
    provider.name, provider.country = name, country
    provider.currency, provider.timezone = currency, timezone


def apply_settings(
    session: Session, *, provider_id: str, version: int, settings: dict[str, Any]
) -> None:
    """Apply the settings, unless newer ones are applied already, and publish that."""
    provider = lock_provider(session, provider_id)
    if version > provider.settings_version:
        provider.settings, provider.settings_version = settings, version
    outbox.publish(session, messages.SettingsApplied(provider_id=provider_id, version=version))


def lock_provider(session: Session, provider_id: str) -> Provider:
    """The provider's row, locked; created if it is not known yet."""
    session.execute(
        upserts.insert(session, Provider)
        .values(id=provider_id, settings={}, settings_version=0, seq=0)
        .on_conflict_do_nothing()
    )
    return session.scalars(
        select(Provider).where(Provider.id == provider_id).with_for_update()
    ).one()
