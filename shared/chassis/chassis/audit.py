"""Audit rows: written with the change they record, chained per organization, and said for the
merged view.

What may name people (labels, changed values, reasons) enters the chain as digests under a salt of
the row's own, which is thrown away with them when they are erased: then no digest tells what it was
of, and the chain is still whole.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from contracts.parts import AuditRecorded
from sqlalchemy import Boolean, Index, String, UniqueConstraint, false, select, union, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.auth.actor import SYSTEM, Actor
from chassis.db.columns import Base, BigInt, Id, Instant, Json
from chassis.messaging import outbox
from chassis.runtime import clock, ids

BEGINNING = "0" * 64
ERASED = "Erased"
_BATCH = 500
_AGAIN = timedelta(minutes=1)
_PARTS = ("actor", "target", "changes", "reason")
# What is left of an actor and a target. The hash of each row covers it: another key here breaks
# every chain.
_STAYS = ("kind", "type", "id", "label", "acting", "sub", "org", "sid", "mode", "access")


class AuditEntry(Base):
    """One thing somebody did or was denied. ``hash`` covers the row and the hash of the row before
    it.

    ``digests`` of actor, target, changes and reason under ``salt``; rows from before there were any have none.
    ``erased``: these parts are what ``without_names`` leaves, and the salt is gone."""

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
    digests: Mapped[dict[str, str] | None] = mapped_column(Json)
    salt: Mapped[str | None] = mapped_column(String(32))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class AuditHead(Base):
    """The end of an organization's chain; locking it puts the rows in order. ``erased``: nobody is
    named in it, nor will be."""

    __tablename__ = "audit_heads"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInt)
    hash: Mapped[str] = mapped_column(String(64))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


def record(
    session: Session,
    said_as: type[AuditRecorded],
    *,
    organization_id: str,
    provider_id: str,
    action: str,
    by: Actor,
    now: datetime,
    target: dict[str, Any] | None = None,
    changes: list[dict[str, Any]] | None = None,
    reason: str | None = None,
    outcome: str = "ok",
) -> AuditEntry:
    """Append a row to the organization's chain and say it as ``said_as``. ``changes``: [{field,
    before, after}]."""
    head = lock(session, organization_id)
    entry = AuditEntry(
        id=ids.new("evt"),
        organization_id=organization_id,
        number=head.number + 1,
        at=now,
        action=action,
        outcome=outcome,
        actor=asdict(by),
        target=target or {},
        changes=changes or [],
        reason=reason,
        request_id=session.info.get("correlation") or None,
        previous_hash=head.hash,
        hash="",
        salt=secrets.token_hex(16),
        erased=False,
    )
    entry.digests = _digests(entry)
    entry.hash = digest(entry)
    if head.erased:
        entry.salt = None
        strip(entry)
    head.number, head.hash = entry.number, entry.hash
    session.add(entry)
    outbox.publish(
        session,
        said_as(
            organization_id=organization_id,
            provider_id=provider_id,
            entry_id=entry.id,
            at=clock.stamp(now),
            action=action,
            outcome=outcome,
            actor=entry.actor,
            target=entry.target,
            changes=entry.changes,
            reason=entry.reason,
            request_id=entry.request_id,
            hash=entry.hash,
        ),
    )
    return entry


def lock(session: Session, organization_id: str) -> AuditHead:
    """The end of the organization's chain, locked; begun where there is none, by one of those who
    try at once.

    For whoever says something before it records: the chain is locked before the stream, by
    everybody."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    wanted = select(AuditHead).where(AuditHead.organization_id == organization_id).with_for_update()
    head = session.scalars(wanted).one_or_none()
    if head is None:
        first = insert(AuditHead).values(organization_id=organization_id, number=0, hash=BEGINNING)
        session.execute(first.on_conflict_do_nothing())
        head = session.scalars(wanted).one()
    return head


def denied_lately(
    session: Session, organization_id: str, action: str, *, by: Actor, now: datetime
) -> bool:
    """Whether the same was denied to the same person within the last minute, and recorded: whoever
    hammers at a shut door gets one row a minute."""
    same = select(AuditEntry.id).where(
        AuditEntry.organization_id == organization_id,
        AuditEntry.at > now - _AGAIN,
        AuditEntry.outcome == "denied",
        AuditEntry.action == action,
        AuditEntry.actor["id"].as_string() == by.id,
        AuditEntry.actor["kind"].as_string() == by.kind,
    )
    return session.execute(same.limit(1)).first() is not None


def digest(entry: AuditEntry) -> str:
    """SHA-256 over the hash of the row before and this row's canonical JSON."""
    row = {
        "id": entry.id,
        "organization_id": entry.organization_id,
        "number": entry.number,
        "at": clock.stamp(entry.at),
        "action": entry.action,
        "outcome": entry.outcome,
        "request_id": entry.request_id,
    }
    if (
        entry.digests is None
    ):  # before there were digests, the id was the salt and the reason stood in clear
        row |= {part: _salted(entry.id, getattr(entry, part)) for part in _PARTS[:3]} | {
            "reason": entry.reason
        }
    else:
        row |= {part: without_names(getattr(entry, part)) for part in _PARTS[:3]} | {
            "digests": entry.digests
        }
    return hashlib.sha256(f"{entry.previous_hash}\n{_canonical(row)}".encode()).hexdigest()


def _digests(entry: AuditEntry) -> dict[str, str]:
    return {part: _salted(entry.salt, getattr(entry, part)) for part in _PARTS}


def _salted(salt: str | None, part: object) -> str:
    return hashlib.sha256(f"{salt}\n{_canonical(part)}".encode()).hexdigest()


def _canonical(part: object) -> str:
    return json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def without_names(part: Any) -> Any:
    """What stays of an actor, a target or changes: ids and kinds, and which fields were changed."""
    if isinstance(part, list):
        return [{"field": change.get("field")} for change in part]
    label = part.get("label") if part.get("kind") == SYSTEM.kind else ERASED
    return {
        key: label if key == "label" else without_names(value) if isinstance(value, dict) else value
        for key, value in part.items()
        if key in _STAYS
    }


def strip(row: Any) -> None:
    """Take the names off a row that is not in the database yet."""
    for part, value in _stripped(row).items():
        setattr(row, part, value)


def erase(session: Session, organization_id: str) -> None:
    """Take all names out of the organization's rows, and have none written from now on. The chain
    stays whole."""
    lock(session, organization_id).erased = True
    erase_rows(session, AuditEntry, organization_id, salt=None)


def erase_rows(session: Session, table: Any, organization_id: str, **gone: None) -> None:
    """The same for a table with the parts of an audit row; ``gone``: what else is not kept."""
    named = select(table.id).where(
        table.organization_id == organization_id, table.erased.is_(False)
    )
    found = session.scalars(named).all()
    for start in range(0, len(found), _BATCH):
        some = table.id.in_(found[start : start + _BATCH])
        rows = session.execute(
            select(table.id, table.actor, table.target, table.changes).where(some)
        ).all()
        session.execute(update(table), [{"id": row.id, **_stripped(row), **gone} for row in rows])


def _stripped(row: Any) -> dict[str, Any]:
    return {part: without_names(getattr(row, part)) for part in _PARTS[:3]} | {
        "reason": None,
        "erased": True,
    }


def chains(session: Session) -> list[str]:
    """The organizations that have a chain, or rows without one."""
    return sorted(
        session.scalars(
            union(select(AuditHead.organization_id), select(AuditEntry.organization_id))
        )
    )


def verify(session: Session, organization_id: str) -> Iterator[str]:
    """What is wrong with the organization's chain, a line each. The session must see one
    instant."""
    head = session.get(AuditHead, organization_id) or AuditHead(number=-1, hash="", erased=False)
    number, before = 0, BEGINNING
    rows = (
        select(AuditEntry)
        .where(AuditEntry.organization_id == organization_id)
        .order_by(AuditEntry.number)
    )
    for entry in session.scalars(rows.execution_options(yield_per=_BATCH)):
        if entry.number != number + 1:
            yield f"{entry.number} {entry.id}: follows {number}, so that rows are missing or too many"
        if entry.previous_hash != before:
            yield f"{entry.number} {entry.id}: does not continue the row before it"
        yield from (f"{entry.number} {entry.id}: {what}" for what in _wrong(entry, head.erased))
        number, before = entry.number, entry.hash
    if (head.number, head.hash) != (number, before):
        yield f"head: is missing, or not of the last row, {number}"


def _wrong(entry: AuditEntry, erased: bool) -> Iterator[str]:
    """What is wrong with a row by itself. Of an erased one without digests only the place in the
    chain is known."""
    if not (entry.erased and entry.digests is None) and digest(entry) != entry.hash:
        yield "was changed: its hash is not of what it says"
    if entry.erased != erased:
        yield (
            "is erased, the chain is not"
            if entry.erased
            else "names somebody, though the chain is erased"
        )
    if entry.erased:
        left = entry.salt is not None or any(
            getattr(entry, p) != value for p, value in _stripped(entry).items()
        )
        yield from ("is erased, but not all of it",) if left else ()
    elif entry.digests is not None:
        now = _digests(entry)
        yield from (
            f"was changed: its {part}" for part in _PARTS if now[part] != entry.digests.get(part)
        )
