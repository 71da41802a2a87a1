"""Changing a provider's settings."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Invalid
from chassis.messaging import outbox
from contracts import org
from sqlalchemy.orm import Session

from org import queries, values
from org.actions.history import record
from org.models import ProviderSettings
from org.values import logos
from org.values.settings import effective, merged, without_logo

_MAX_CHANGES = 240_000  # characters; a message is at most 256 KiB


class TooManyChanges(Invalid):
    code = "too_many_changes"
    detail = "The change is too large for the audit log. Change one of the settings at a time."


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

    ``check`` gets the current settings, locked, and raises to refuse the change. Raises Invalid for
    a logo that is not an image, TooManyChanges."""
    provider = queries.organization(session, provider_id, lock=True)
    settings = queries.provider_settings(session, provider_id, lock=True)
    before = settings.effective
    check(before)
    logo = changes.get("company", {}).get("logo")
    if logo is not None and logo != before["company"].get("logo"):
        changes = merged(changes, {"company": {"logo": logos.reencoded(logo)}})
    chosen = merged(settings.chosen, changes)
    differences = values.differences(without_logo(before), without_logo(effective(chosen)))
    if not differences:
        return settings
    if len(json.dumps(differences)) > _MAX_CHANGES:
        raise TooManyChanges()
    settings.chosen = chosen
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
