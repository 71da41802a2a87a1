"""Recording what happens to an organization, merging the audits of all services, erasing names."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from contracts import org
from sqlalchemy.orm import Session

from org import queries
from org.actions import client_addresses
from org.models import Organization, TrailEntry


def record(
    session: Session,
    organization: Organization,
    action: str,
    *,
    by: Actor,
    now: datetime,
    changes: list[dict[str, Any]] | None = None,
    reason: str | None = None,
    outcome: str = "ok",
) -> None:
    """Add a row about this organization to org's audit."""
    audit.record(
        session,
        org.AuditRecorded,
        organization_id=organization.id,
        provider_id=organization.provider_id,
        action=action,
        by=by,
        now=now,
        target={"type": "organization", "id": organization.id, "label": organization.name},
        changes=changes,
        reason=reason,
        outcome=outcome,
    )


def record_denial(
    session: Session, *, organization_id: str, operation: str, by: Actor, now: datetime
) -> None:
    """Record that someone tried what they may not do; a repeated attempt is recorded once."""
    if not audit.denied_recently(session, organization_id, operation, by=by, now=now):
        organization = queries.organization(session, organization_id)
        record(session, organization, operation, by=by, now=now, outcome="denied")


def add_to_trail(
    session: Session,
    *,
    organization_id: str,
    service: str,
    message_id: str,
    entry_id: str,
    at: str,
    action: str,
    outcome: str,
    actor: dict[str, Any],
    target: dict[str, Any],
    changes: list[dict[str, Any]],
    reason: str | None,
    request_id: str | None,
    entry_hash: str,
    client_address: str | None,
    client_organization_id: str | None,
) -> None:
    """Merge a row of some service's audit, once; without names and address if the organization is
    deleted, and without those of people who were erased."""
    if session.get(TrailEntry, entry_id) is not None:
        return
    acting = actor.get("acting") or {}
    entry = TrailEntry(
        id=entry_id,
        organization_id=organization_id,
        service=service,
        at=datetime.fromisoformat(at),
        action=action,
        outcome=outcome,
        actor=actor,
        target=target,
        changes=changes,
        reason=reason,
        request_id=request_id,
        hash=entry_hash,
        message_id=message_id,
        actor_id=acting.get("sub") or actor.get("id"),
        actor_kind=actor.get("kind"),
        target_id=target.get("id"),
        erased=False,
    )
    audit.without_erased_people(session, entry)
    if queries.is_erased(session, organization_id):
        audit.strip(entry)
    elif client_address and not audit.erased_among(session, {entry.actor_id or ""}):
        client_addresses.store(
            session, entry, address=client_address, caller_organization_id=client_organization_id
        )
    session.add(entry)


def erase_history(session: Session, organization: Organization) -> None:
    """Remove all names from what happened to this organization, and from what is yet to arrive."""
    audit.erase(session, organization.id)
    audit.erase_rows(session, TrailEntry, organization.id)
    client_addresses.erase(session, organization.id)
    for deletion in queries.all_deletions(session, organization.id):
        deletion.reason = None
        deletion.requested_by = audit.without_names(deletion.requested_by)


def erase_people(session: Session, people: Collection[str], *, now: datetime) -> None:
    """Take the names of people who were erased out of all that happened, and delete the addresses
    from which they did something; a batch now, and the rest by ``erase_more``."""
    audit.erase_people(session, people, now=now)
    _erase_in_trail(session, people)


def erase_more_people(session: Session, *, now: datetime) -> int:
    """Take the names of erased people out of another batch of rows; returns of how many."""
    return audit.erase_more(session, now=now, done=_erase_in_trail(session))


def _erase_in_trail(session: Session, people: Collection[str] | None = None) -> int:
    entry_ids = audit.erase_batch(session, TrailEntry, people)
    client_addresses.erase_of_erased_people(session, entry_ids)
    return len(entry_ids)
