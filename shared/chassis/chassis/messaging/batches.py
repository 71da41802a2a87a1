"""Consuming many messages of one kind in one transaction, where order does not matter and most
need no inbox row.

A message that is irregular (it cannot be decoded, it came before, it fails) goes through the inbox
on its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from contracts import Message
from sqlalchemy import select
from sqlalchemy.orm import Session

from chassis.db import health
from chassis.db.bulk_sql import among, array
from chassis.db.unit_of_work import write_collected
from chassis.db.upserts import is_postgresql
from chassis.errors import Invalid
from chassis.messaging import redeliveries
from chassis.messaging.envelope import Decoded, Delivery, Envelope, Undeliverable, decode
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import InboxRow
from chassis.runtime import clock, failpoints, ids, log

_LOG = log.get("batches")
_INBOX: Any = InboxRow.__table__
_CONSUMED = {
    name: select(_INBOX.c.id).where(is_among)
    for name, is_among in among(_INBOX.c.id, "ids").items()
}


@dataclass(frozen=True)
class Batch:
    """A listener for many messages of one kind.

    ``read``: turns a message into a record; raises Invalid. ``apply``: applies the records, each
    unique permanently by a natural key, and returns the positions of those whose outcome the inbox
    must remember, because the key does not."""

    read: Callable[[Any], Any]
    apply: Callable[[Session, Sequence[Any], datetime], Sequence[int]]

    def apply_one(self, session: Session, envelope: Envelope, *, message: Any) -> None:
        """The same as a listener for the inbox."""
        self.apply(session, [self.read(message)], envelope.now)


class _Item(NamedTuple):
    position: int
    redelivered: bool
    decoded: Decoded
    record: Any

    @property
    def id(self) -> str:
        return self.decoded.envelope.id


class Batches:
    """Applies the messages of one kind that a service consumes in batches."""

    def __init__(self, inbox: Inbox, kind: type[Message], batch: Batch) -> None:
        self.inbox = inbox
        self.kind = kind
        self.batch = batch

    def receive(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Apply the messages together, each at most once. Returns the positions of those that must
        go through the inbox.

        Raises an error of SQLAlchemy if the database is unavailable; none then counts as
        delivered."""
        items: dict[str, _Item] = {}
        irregular = []
        for position, delivery in enumerate(deliveries):
            item = self._decode(position, delivery)
            if item is None or item.id in items:
                irregular.append(position)
            else:
                items[item.id] = item
        redelivered = [item.id for item in items.values() if item.redelivered]
        suspects = redeliveries.suspects(self.inbox.database, redelivered)
        others = [each for each in redelivered if each not in suspects]
        redeliveries.note(self.inbox.database, others)
        for suspect in suspects:
            irregular.append(items.pop(suspect).position)
        return sorted(irregular + self._apply(list(items.values())))

    def _decode(self, position: int, delivery: Delivery) -> _Item | None:
        try:
            decoded = decode(delivery.raw, delivery.published_by, (self.kind,))
            record = self.batch.read(decoded.message)
        except (Undeliverable, Invalid):
            return None
        return _Item(position, delivery.redelivered, decoded, record)

    def _apply(self, items: list[_Item]) -> list[int]:
        """The positions of those that were consumed before, and of those that fail even alone. A
        batch that fails twice is halved until the failing messages are isolated."""
        if not items:
            return []
        for _ in (1, 2):
            try:
                return self._apply_once(items)
            except Exception as problem:
                if health.is_unavailable(problem):
                    raise
                _LOG.warning("batch.failed", error=type(problem).__name__, messages=len(items))
        if len(items) == 1:
            return [items[0].position]
        half = len(items) // 2
        return self._apply(items[:half]) + self._apply(items[half:])

    def _apply_once(self, items: list[_Item]) -> list[int]:
        with self.inbox.database.transaction() as session:
            consumed = _consumed(session, [item.id for item in items])
            new = [item for item in items if item.id not in consumed]
            if new:
                self._apply_new(session, new, clock.now())
            write_collected(session)
            failpoints.hit("batch.before_commit")
        return [item.position for item in items if item.id in consumed]

    def _apply_new(self, session: Session, items: list[_Item], now: datetime) -> None:
        remembered = self.batch.apply(session, [item.record for item in items], now)
        for index in remembered:
            decoded = items[index].decoded
            session.add(InboxRow(id=decoded.envelope.id, digest=decoded.digest, consumed_at=now))


def _consumed(session: Session, message_ids: Sequence[str]) -> set[str]:
    """Those of the messages that have an inbox row."""
    uuids = [ids.to_uuid("evt", each) for each in message_ids]
    parameters = {"ids": array(uuids) if is_postgresql(session) else message_ids}
    connection = session.connection()
    return set(connection.execute(_CONSUMED[connection.dialect.name], parameters).scalars())
