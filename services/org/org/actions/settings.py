"""Changing a provider's settings."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.messaging import outbox
from contracts import org
from sqlalchemy.orm import Session

from org import queries, values
from org.actions.history import record
from org.models import ProviderSettings


def change_settings(
    session: Session,
    *,
    provider_id: str,
    now: datetime,
    by: Actor,
    changes: dict[str, Any],
    check: Callable[[dict[str, Any]], None],
) -> ProviderSettings:
    """Change settings and publish them; the other services reply once they apply them.

    ``check`` gets the current settings, locked, and raises to refuse the change."""
    provider = queries.organization(session, provider_id, lock=True)
    settings = queries.provider_settings(session, provider_id, lock=True)
    before = settings.effective
    check(before)
    differences = values.differences(before, before | changes)
    if not differences:
        return settings
    settings.chosen = settings.chosen | changes
    settings.version += 1
    provider.mfa_required = settings.effective["mfa_required"]
    session.add(settings)
    record(session, provider, "settings.changed", by=by, now=now, changes=differences)
    outbox.publish(
        session,
        org.SettingsChanged(
            provider_id=provider_id, version=settings.version, settings=settings.effective
        ),
    )
    return settings


def mark_settings_applied(
    session: Session, *, provider_id: str, service: str, version: int
) -> None:
    """A service applies this version of the settings now."""
    settings = queries.provider_settings(session, provider_id, lock=True)
    latest = max(version, settings.applied.get(service, 0))
    settings.applied = settings.applied | {service: latest}
