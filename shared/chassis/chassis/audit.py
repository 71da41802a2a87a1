"""Audit rows: written with the change they record, chained per organization, and said for the merged view."""

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contracts.parts import AuditRecorded
from sqlalchemy import Index, String, UniqueConstraint, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis import clock, ids, outbox
from chassis.actor import Actor
from chassis.sql import Base, BigInt, Id, Instant, Json


class AuditEntry(Base):
    """One thing somebody did or was denied. ``hash`` covers the row and the hash of the row before it."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        UniqueConstraint("organization_id", "number"),
        Index("ix_audit_entries_organization_at", "organization_id", "at"),
    )
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    number: Mapped[int] = mapped_column(BigInt)
    at: Mapped[datetime] = mapped_column(Instant)
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    actor: Mapped[dict[str, Any]] = mapped_column(Json)
    target: Mapped[dict[str, Any]] = mapped_column(Json)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(String(500))
    request_id: Mapped[str | None] = mapped_column(String(128))
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The end of an organization's chain; locking it puts the rows in order."""

    __tablename__ = "audit_heads"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInt)
    hash: Mapped[str] = mapped_column(String(64))


def record(
    session: Session, said_as: type[AuditRecorded], *, organization_id: str, provider_id: str, action: str,
    by: Actor, now: datetime, target: dict[str, Any] | None = None, changes: list[dict[str, Any]] | None = None,
    reason: str | None = None, outcome: str = "ok",
) -> AuditEntry:
    """Append a row to the organization's chain and say it as ``said_as``. ``changes``: [{field, before, after}]."""
    head = lock(session, organization_id)
    entry = AuditEntry(
        id=ids.new("evt"), organization_id=organization_id, number=head.number + 1, at=now, action=action,
        outcome=outcome, actor=asdict(by), target=target or {}, changes=changes or [], reason=reason,
        request_id=session.info.get("correlation") or None, previous_hash=head.hash, hash="",
    )
    entry.hash = digest(entry)
    head.number, head.hash = entry.number, entry.hash
    session.add(entry)
    outbox.say(
        session,
        said_as(
            organization_id=organization_id, provider_id=provider_id, entry_id=entry.id, at=clock.stamp(now),
            action=action, outcome=outcome, actor=entry.actor, target=entry.target, changes=entry.changes,
            reason=reason, request_id=entry.request_id, hash=entry.hash,
        ),
    )
    return entry


def lock(session: Session, organization_id: str) -> AuditHead:
    """The end of the organization's chain, locked; begun where there is none, by one of those who try at once.

    For whoever says something before it records: the chain is locked before the stream, by everybody."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    wanted = select(AuditHead).where(AuditHead.organization_id == organization_id).with_for_update()
    head = session.scalars(wanted).one_or_none()
    if head is None:
        first = insert(AuditHead).values(organization_id=organization_id, number=0, hash="0" * 64)
        session.execute(first.on_conflict_do_nothing())
        head = session.scalars(wanted).one()
    return head


def digest(entry: AuditEntry) -> str:
    """SHA-256 over the hash of the row before and this row's canonical JSON."""
    row = {
        "id": entry.id, "organization_id": entry.organization_id, "number": entry.number, "at": clock.stamp(entry.at),
        "action": entry.action, "outcome": entry.outcome, "actor": _salted(entry.id, entry.actor),
        "target": _salted(entry.id, entry.target), "changes": _salted(entry.id, entry.changes), "reason": entry.reason,
        "request_id": entry.request_id,
    }
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{entry.previous_hash}\n{canonical}".encode()).hexdigest()


def _salted(salt: str, part: object) -> str:
    """Parts that may hold personal data enter the chain as salted digests, so they can be erased later."""
    text = json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()
