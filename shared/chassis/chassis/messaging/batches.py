"""Hearing many messages of one kind in one transaction, where their order says nothing and most
need no inbox row.

Whatever is odd about a message (it can't be understood, it was heard before, it fails) goes the
inbox's way, alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from contracts import Message
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from chassis.db.unit_of_work import write_collected
from chassis.errors import Invalid
from chassis.messaging.envelope import Decoded, Envelope, Undeliverable, decode
from chassis.messaging.inbox import Inbox, is_disconnect
from chassis.messaging.inbox_models import InboxRow, Redelivery
from chassis.runtime import clock, failpoints, log

_LOG = log.get("batches")


@dataclass(frozen=True)
class Batch:
    """A listener for many messages of one kind.

    ``read``: what a message means; raises Invalid. ``apply``: their effect, each unique by a natural key for ever;
    answers the positions of those that had another effect, so that the inbox must remember them."""

    read: Callable[[Any], Any]
    apply: Callable[[Session, Sequence[Any], datetime], Sequence[int]]

    def one(self, session: Session, envelope: Envelope, *, message: Any) -> None:
        """The same as a listener for the inbox."""
        self.apply(session, [self.read(message)], envelope.now)


class Delivery(NamedTuple):
    """A message as it came; ``published_by``: the carrier's word for who published it; ``again``: it
    came before."""

    raw: bytes
    published_by: str
    again: bool = False


class _Item(NamedTuple):
    number: int
    again: bool
    decoded: Decoded
    meant: Any


class Batches:
    """One service's ears for one kind of message."""

    def __init__(self, inbox: Inbox, kind: type[Message], batch: Batch) -> None:
        self.inbox, self.kind, self.batch = inbox, kind, batch

    def receive(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Apply them together, each at most once; answers the positions of those to be given to the
        inbox.

        Raises SQLAlchemy's OperationalError when the database can't be reached: none counts as
        delivered."""
        together: dict[str, _Item] = {}
        alone = []
        for number, delivery in enumerate(deliveries):
            try:
                decoded = decode(delivery.raw, delivery.published_by, (self.kind,))
                item = _Item(number, delivery.again, decoded, self.batch.read(decoded.message))
            except (Undeliverable, Invalid):
                alone.append(number)
                continue
            if together.setdefault(decoded.envelope.id, item) is not item:
                alone.append(number)
        for suspect in self._suspects([id_ for id_, item in together.items() if item.again]):
            alone.append(together.pop(suspect).number)
        return sorted(alone + self._apply(list(together.values())))

    def _suspects(self, again: list[str]) -> set[str]:
        """Those that come for the third time or more. Noted before they are applied: who comes for
        the second time may be in one batch with whoever killed the process, and if that one does it
        again, all are heard alone."""
        if not again:
            return set()
        with self.inbox.database.transaction() as session:
            known = set(session.scalars(select(Redelivery.id).where(Redelivery.id.in_(again))))
            now = clock.now()
            session.add_all(
                Redelivery(id=id_, times=1, last_at=now) for id_ in again if id_ not in known
            )
        return known

    def _apply(self, items: list[_Item]) -> list[int]:
        """The positions of what was heard before, and of what fails even by itself."""
        for attempt in (1, 2):
            try:
                return self._apply_once(items) if items else []
            except (OperationalError, PoolTimeout) as problem:
                if is_disconnect(problem) or attempt == 2:
                    raise
            except Exception as problem:
                _LOG.warning("batch.failed", error=type(problem).__name__, messages=len(items))
        if len(items) == 1:
            return [items[0].number]
        half = len(items) // 2
        return self._apply(items[:half]) + self._apply(items[half:])

    def _apply_once(self, items: list[_Item]) -> list[int]:
        with self.inbox.database.transaction() as session:
            known = select(InboxRow.id).where(
                InboxRow.id.in_([item.decoded.envelope.id for item in items])
            )
            seen = set(session.scalars(known))
            new, now = [item for item in items if item.decoded.envelope.id not in seen], clock.now()
            for n in self.batch.apply(session, [item.meant for item in new], now) if new else ():
                session.add(
                    InboxRow(
                        id=new[n].decoded.envelope.id, digest=new[n].decoded.digest, heard_at=now
                    )
                )
            write_collected(session)
            failpoints.hit("batch.before_commit")
        return [item.number for item in items if item.decoded.envelope.id in seen]
