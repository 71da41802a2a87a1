"""Writing the audit log. Rows are collected and written when the transaction ends."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from contracts.parts import AuditRecorded
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chassis.audit import people as erased_people
from chassis.audit.erasure import erase_rows, strip
from chassis.audit.hashing import digest, part_digests
from chassis.audit.models import BEGINNING, AuditEntry, AuditHead
from chassis.auth.actor import Actor, Client
from chassis.db import direct, upserts
from chassis.db.bulk_sql import array, insert_rows, update_rows
from chassis.db.direct import Statement
from chassis.db.unit_of_work import LockOrder, collector
from chassis.db.upserts import is_postgresql
from chassis.messaging import outbox
from chassis.messaging.outbox import PendingMessage
from chassis.runtime import clock, ids

_ENTRIES: Any = AuditEntry.__table__
_HEADS: Any = AuditHead.__table__
_DENIALS_APART = timedelta(minutes=1)


@dataclass
class Head:
    """The end of a locked chain."""

    number: int
    hash: str
    erased: bool


@dataclass(slots=True)
class _Entry:
    """A row that is not in the database yet; the columns are those of ``AuditEntry``."""

    id: str
    uuid: UUID
    organization_id: str
    at: datetime
    action: str
    outcome: str
    actor: dict[str, Any]
    target: dict[str, Any]
    changes: list[dict[str, Any]]
    reason: str | None
    request_id: str | None
    salt: str | None
    erased: bool = False
    number: int = 0
    previous_hash: str = ""
    hash: str = BEGINNING
    digests: dict[str, str] = field(default_factory=dict)

    def row(self) -> tuple[Any, ...]:
        """Its values of ``_COLUMNS``."""
        return (self.uuid, ids.to_uuid("org", self.organization_id), *_values_of(self))


_COLUMNS = (
    "id",
    "organization_id",
    "number",
    "at",
    "action",
    "outcome",
    "actor",
    "target",
    "changes",
    "reason",
    "request_id",
    "previous_hash",
    "hash",
    "digests",
    "salt",
    "erased",
)
_values_of = attrgetter(*_COLUMNS[2:])


@dataclass(slots=True)
class _Pending:
    entry: _Entry
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
        if pending:
            insert_rows(session, _ENTRIES, _COLUMNS, [each.entry.row() for each in pending])
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
    uuid = ids.new_uuid()
    entry = _Entry(
        id=ids.of_uuid("evt", uuid),
        uuid=uuid,
        organization_id=organization_id,
        at=now,
        action=action,
        outcome=outcome,
        actor=dict(vars(by)),
        target=target or {},
        changes=changes or [],
        reason=reason,
        request_id=session.info.get("correlation") or None,
        salt=secrets.token_hex(16),
    )
    message = _message_about(entry, published_as, provider_id, session.info.get("client"))
    pending = _Pending(entry, outbox.collect(session, message))
    collector(session, _Audit).pending.append(pending)


def _message_about(
    entry: _Entry, published_as: type[AuditRecorded], provider_id: str, client: Client | None
) -> AuditRecorded:
    return published_as(
        organization_id=entry.organization_id,
        provider_id=provider_id,
        entry_id=entry.id,
        at=clock.stamp(entry.at),
        action=entry.action,
        outcome=entry.outcome,
        actor=entry.actor,
        target=entry.target,
        changes=entry.changes,
        reason=entry.reason,
        request_id=entry.request_id,
        hash=BEGINNING,  # until the chain is locked
        client_address=client.address if client else None,
        client_organization_id=client.organization_id if client else None,
    )


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


_LOCK_HEADS = Statement(
    text(
        """
        INSERT INTO audit_heads (organization_id, number, hash)
        SELECT id, 0, :beginning FROM unnest(CAST(:ids AS uuid[])) AS id
        ON CONFLICT (organization_id) DO UPDATE SET number = audit_heads.number
        RETURNING organization_id, number, hash, erased
        """
    ).columns(AuditHead.organization_id, AuditHead.number, AuditHead.hash, AuditHead.erased)
)


def lock_heads(session: Session, organization_ids: Iterable[str]) -> dict[str, Head]:
    """The ends of these organizations' chains, locked in the order of their ids; a chain that does
    not exist is begun."""
    ordered = sorted(organization_ids)
    if is_postgresql(session):
        uuids = array([ids.to_uuid("org", organization_id) for organization_id in ordered])
        rows: Any = direct.rows(session, _LOCK_HEADS, {"ids": uuids, "beginning": BEGINNING})
    else:
        statement = upserts.insert(session, AuditHead)
        statement = statement.on_conflict_do_update(
            index_elements=["organization_id"], set_={"number": AuditHead.number}
        )
        rows = session.connection().execute(
            statement.returning(
                AuditHead.organization_id, AuditHead.number, AuditHead.hash, AuditHead.erased
            ),
            [{"organization_id": id_, "number": 0, "hash": BEGINNING} for id_ in ordered],
        )
    return {row.organization_id: Head(row.number, row.hash, row.erased) for row in rows}


def _append(head: Head, pending: _Pending, people: Collection[str]) -> None:
    entry = pending.entry
    entry.number, entry.previous_hash = head.number + 1, head.hash
    entry.digests = part_digests(entry)
    entry.hash = digest(entry)
    pending.message.fill("hash", BEGINNING, entry.hash)
    changed: dict[str, Any] = {}
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
    if changed:
        pending.message.amend(**changed)
    head.number, head.hash = entry.number, entry.hash


def _acted(entry: _Entry) -> Any:
    """The id of who really acted."""
    return (entry.actor.get("acting") or {}).get("sub") or entry.actor.get("id")


def _update_heads(session: Session, heads: dict[str, Head]) -> None:
    rows = [
        (ids.to_uuid("org", id_), head.number, head.hash, head.erased)
        for id_, head in heads.items()
    ]
    update_rows(session, _HEADS, "organization_id", ("number", "hash", "erased"), rows)
