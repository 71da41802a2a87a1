"""From where things were done: stored with the merged audit log, and deleted after a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.audit import ErasedPerson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from org import values
from org.models import ClientAddress, TrailEntry

MAX_BATCH = 1000


def store(
    session: Session, entry: TrailEntry, *, address: str, caller_organization_id: str | None
) -> None:
    """Store from where the entry's request came."""
    session.add(
        ClientAddress(
            id=entry.id,
            organization_id=entry.organization_id,
            at=entry.at,
            address=address,
            is_own=values.is_own(entry.actor, caller_organization_id, entry.organization_id),
        )
    )


def erase(session: Session, organization_id: str) -> None:
    """Delete all of an organization's addresses."""
    session.execute(delete(ClientAddress).where(ClientAddress.organization_id == organization_id))


def erase_of_erased_people(session: Session, entry_ids: Sequence[str]) -> None:
    """Delete the addresses of those of the entries that are about something an erased person
    did."""
    of_them = select(TrailEntry.id).where(
        TrailEntry.id.in_(entry_ids), TrailEntry.actor_id.in_(select(ErasedPerson.id))
    )
    session.execute(delete(ClientAddress).where(ClientAddress.id.in_(of_them)))


def delete_expired(session: Session, *, now: datetime) -> int:
    """Delete a batch of addresses past their retention; returns how many."""
    expired = (
        select(ClientAddress.id)
        .where(ClientAddress.at < now - values.ADDRESS_RETENTION)
        .order_by(ClientAddress.at)
        .limit(MAX_BATCH)
    )
    deleted: Any = session.execute(delete(ClientAddress).where(ClientAddress.id.in_(expired)))
    return int(deleted.rowcount)
