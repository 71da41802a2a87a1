"""Recording what happens to an organization, merging the audits of all services, erasing names."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from contracts import org
from contracts.parts import AuditRecorded
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


def add_to_trail(session: Session, rows: Sequence[tuple[str, str, AuditRecorded]]) -> None:
    """Merge rows of the services' audits, each once: service, message id and row. Without names and
    address if the organization is deleted, and without those of people who were erased."""
    known = queries.known_entries(session, [row.entry_id for _, _, row in rows])
    entries: dict[str, TrailEntry] = {}
    for service, message_id, row in rows:
        if row.entry_id not in known:
            entries[row.entry_id] = _trail_entry(service, message_id, row)
    people = audit.erased_people_in(session, entries.values())
    deleted = queries.deleted_among(session, {entry.organization_id for entry in entries.values()})
    for _, _, row in rows:
        entry = entries.pop(row.entry_id, None)
        if entry is None:
            continue
        audit.take_out_people(entry, people)
        if entry.organization_id in deleted:
            audit.strip(entry)
        elif row.client_address and entry.actor_id not in people:
            client_addresses.store(
                session,
                entry,
                address=row.client_address,
                caller_organization_id=row.client_organization_id,
            )
        session.add(entry)


def _trail_entry(service: str, message_id: str, row: AuditRecorded) -> TrailEntry:
    acting = row.actor.get("acting") or {}
    return TrailEntry(
        id=row.entry_id,
        organization_id=row.organization_id,
        service=service,
        at=datetime.fromisoformat(row.at),
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        target=row.target,
        changes=row.changes,
        reason=row.reason,
        request_id=row.request_id,
        hash=row.hash,
        message_id=message_id,
        actor_id=acting.get("sub") or row.actor.get("id"),
        actor_kind=row.actor.get("kind"),
        target_id=row.target.get("id"),
        erased=False,
    )


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
