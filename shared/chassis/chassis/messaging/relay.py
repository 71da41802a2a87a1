"""From the outbox to the bus. Several relays share its partitions, each leased to one of them, so
that they keep the order."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Select, SmallInteger, bindparam, cast, func, or_, select, update
from sqlalchemy.orm import Session

from chassis.db.database import Database
from chassis.db.leases import Lease, Leases
from chassis.messaging.outbox import PARTITIONS, OutboxRow
from chassis.runtime import clock, failpoints, log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage

BATCH = 200
POLL = 1.0
_LOG = log.get("relay")


@dataclass(frozen=True)
class OutgoingMessage:
    """A message ready to be sent."""

    id: str
    type: str
    body: bytes
    occurred_at: datetime


@dataclass(frozen=True)
class PublishResult:
    """``sent``: ids of the messages that the bus has stored; ``returned``: ids of those that could
    not be routed, with the reason."""

    sent: frozenset[str]
    returned: dict[str, str]


class Bus(Protocol):
    """Something that sends messages. If it raises, nothing of the batch counts as sent."""

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Send the messages in this order."""
        ...


def _unsent() -> Select[str, str, bytes, datetime]:
    # Uncorrelated subqueries, which run once and not for each row: after an outage of the bus
    # there may be many rows of one aggregate.
    stuck = (OutboxRow.published_at.is_(None), OutboxRow.unsendable.is_not(None))
    free = or_(
        OutboxRow.aggregate.not_in(select(OutboxRow.aggregate).where(*stuck)),
        OutboxRow.seq.in_(
            select(func.min(OutboxRow.seq)).where(*stuck).group_by(OutboxRow.aggregate)
        ),
    )
    mine = OutboxRow.partition.in_(bindparam("partitions", expanding=True))
    return (
        select(OutboxRow.id, OutboxRow.type, OutboxRow.body, OutboxRow.occurred_at)
        .where(OutboxRow.published_at.is_(None), mine, free)
        .order_by(OutboxRow.unsendable.is_not(None), OutboxRow.seq)
        .limit(BATCH)
    )


# Made once: it runs every second, and making it takes longer than running it.
_UNSENT = _unsent()


class Relay:
    """Sends the outbox, in order per aggregate, each message at least once."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self.database, self.bus = database, bus
        self.leases = Leases(database, "relay", [str(part) for part in range(PARTITIONS)])
        self._wake = threading.Event()

    def wake(self) -> None:
        """Look for messages now rather than at the next poll."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Relay until told to stop. Errors are logged and retried with growing pauses."""
        backoff, outage = Backoff(0.1, 10.0), Outage(_LOG, "relay.failed", "relay.recovered")
        while not stop.is_set():
            self._wake.clear()
            try:
                sent = self.step(clock.now())
            except Exception as problem:
                outage.failed(problem)
                backoff.wait(stop)
                continue
            outage.over()
            backoff.reset()
            if not sent:
                self._wake.wait(POLL)
        self.leases.release(clock.now())

    def step(self, now: datetime) -> int:
        """Send a batch of the leased partitions. Returns how many messages were sent."""
        partitions = [int(part) for part in self.leases.held(now)]
        with self.database.reading() as session:
            messages = self._unsent(session, partitions)
        if not messages:
            return 0
        failpoints.hit("relay.selected")
        result = self.bus.publish(messages)
        failpoints.hit("relay.published")
        with self.database.transaction() as session:
            self._mark(session, result, now)
        return len(result.sent)

    def _unsent(self, session: Session, partitions: Sequence[int]) -> list[OutgoingMessage]:
        rows = session.execute(_UNSENT, {"partitions": partitions})
        return [OutgoingMessage(row.id, row.type, row.body, row.occurred_at) for row in rows]

    def _mark(self, session: Session, result: PublishResult, now: datetime) -> None:
        held = select(cast(Lease.part, SmallInteger)).where(self.leases.still_held())
        if result.sent:
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.id.in_(result.sent), OutboxRow.partition.in_(held))
                .values(published_at=now, unsendable=None)
            )
        for event_id, reason in result.returned.items():
            _LOG.error("relay.returned", message_id=event_id, reason=reason)
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.id == event_id, OutboxRow.partition.in_(held))
                .values(unsendable=reason[:255])
            )
