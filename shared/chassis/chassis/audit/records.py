"""Writing the audit log. Rows are collected and written when the transaction ends."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.parts import AuditRecorded
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from chassis.audit import people as erased_people
from chassis.audit.erasure import erase_rows, strip
from chassis.audit.hashing import digest, part_digests
from chassis.audit.models import BEGINNING, AuditEntry, AuditHead
from chassis.auth.actor import Actor
from chassis.db import upserts
from chassis.db.unit_of_work import LockOrder, collector
from chassis.messaging import outbox
from chassis.messaging.outbox import PendingMessage
from chassis.runtime import clock, ids

_DENIALS_APART = timedelta(minutes=1)


@dataclass
class Head:
    """The end of a locked chain."""

    number: int
    hash: str
    erased: bool


@dataclass
class _Pending:
    entry: AuditEntry
    message: PendingMessage


class _Audit:
    lock_order = LockOrder.AUDIT_CHAINS

    def __init__(self) -> None:
        self.pending: list[_Pending] = []
        self.erased: set[str] = set()
        self.people: set[str] = set()

    def write(self, session: Session) -> None:
        pending, self.pending = self.pending, []
        erased, self.erased = self.erased, set()
        people, self.people = self.people, set()
        if people:
            erased_people.erase_batch(session, AuditEntry, people, salt=None)
        organizations = erased.union(each.entry.organization_id for each in pending)
        if not organizations:
            return
        heads = lock_heads(session, organizations)
        for organization_id in sorted(erased):
            heads[organization_id].erased = True
            erase_rows(session, AuditEntry, organization_id, salt=None)
        for each in pending:
            _append(heads[each.entry.organization_id], each, people)
        session.add_all(each.entry for each in pending)
        session.flush()
        _update_heads(session, heads)


def record(
    session: Session,
    published_as: type[AuditRecorded],
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
) -> None:
    """Append a row to the organization's chain when this transaction ends, and publish it as
    ``published_as``, with the address of the request's client, which no chain keeps. ``changes``:
    [{field, before, after}]."""
    entry = AuditEntry(
        id=ids.new("evt"),
        organization_id=organization_id,
        at=now,
        action=action,
        outcome=outcome,
        actor=asdict(by),
        target=target or {},
        changes=changes or [],
        reason=reason,
        request_id=session.info.get("correlation") or None,
        salt=secrets.token_hex(16),
        erased=False,
    )
    client = session.info.get("client")
    message = published_as(
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
        hash=BEGINNING,  # until the chain is locked
        client_address=client.address if client else None,
        client_organization_id=client.organization_id if client else None,
    )
    pending = _Pending(entry, outbox.collect(session, message))
    collector(session, _Audit).pending.append(pending)


def erase(session: Session, organization_id: str) -> None:
    """Take all names out of the organization's rows when this transaction ends, and have none
    written from then on. The chain stays whole."""
    collector(session, _Audit).erased.add(organization_id)


def erase_people(session: Session, people: Collection[str], *, now: datetime) -> None:
    """Take the names of people who were erased out of all rows, also out of those of this
    transaction; ``people``: the ids that rows have of them. A batch is done when this transaction
    ends, the rest by ``erase_more``. The chains stay whole."""
    erased_people.remember(session, people, now)
    collector(session, _Audit).people.update(people)


def denied_recently(
    session: Session, organization_id: str, action: str, *, by: Actor, now: datetime
) -> bool:
    """Whether the same was denied to the same person within the last minute, and recorded. Somebody
    who keeps trying gets one row a minute."""
    same = select(AuditEntry.id).where(
        AuditEntry.organization_id == organization_id,
        AuditEntry.at > now - _DENIALS_APART,
        AuditEntry.outcome == "denied",
        AuditEntry.action == action,
        AuditEntry.actor["id"].as_string() == by.id,
        AuditEntry.actor["kind"].as_string() == by.kind,
    )
    return session.execute(same.limit(1)).first() is not None


def lock_heads(session: Session, organization_ids: Iterable[str]) -> dict[str, Head]:
    """The ends of these organizations' chains, locked in the order of their ids; a chain that does
    not exist is begun."""
    statement = upserts.insert(session, AuditHead)
    statement = statement.on_conflict_do_update(
        index_elements=["organization_id"], set_={"number": AuditHead.number}
    )
    beginnings = [
        {"organization_id": id_, "number": 0, "hash": BEGINNING} for id_ in sorted(organization_ids)
    ]
    rows = session.connection().execute(
        statement.returning(
            AuditHead.organization_id, AuditHead.number, AuditHead.hash, AuditHead.erased
        ),
        beginnings,
    )
    return {row.organization_id: Head(row.number, row.hash, row.erased) for row in rows}


def _append(head: Head, pending: _Pending, people: Collection[str]) -> None:
    entry = pending.entry
    entry.number, entry.previous_hash = head.number + 1, head.hash
    entry.digests = part_digests(entry)
    entry.hash = digest(entry)
    changed: dict[str, Any] = {"hash": entry.hash}
    if without := erased_people.without_people(entry, people):
        entry.salt = None
        for part, value in without.items():
            setattr(entry, part, value)
        changed |= without
    if _acted(entry) in people:
        changed["client_address"] = None
    if head.erased:
        entry.salt = None
        strip(entry)
        changed |= {part: getattr(entry, part) for part in ("actor", "target", "changes", "reason")}
        changed["client_address"] = None
    pending.message.amend(**changed)
    head.number, head.hash = entry.number, entry.hash


def _acted(entry: AuditEntry) -> Any:
    """The id of who really acted."""
    return (entry.actor.get("acting") or {}).get("sub") or entry.actor.get("id")


def _update_heads(session: Session, heads: dict[str, Head]) -> None:
    statement = (
        update(AuditHead)
        .where(AuditHead.organization_id == bindparam("id"))
        .values({name: bindparam(f"new_{name}") for name in ("number", "hash", "erased")})
    )
    rows = [
        {"id": id_, "new_number": head.number, "new_hash": head.hash, "new_erased": head.erased}
        for id_, head in heads.items()
    ]
    session.connection().execute(statement, rows)
