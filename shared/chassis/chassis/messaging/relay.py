"""Outbox to bus. Owns hash partitions of the outbox under a fenced lease, so that several relays
keep the order."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import SmallInteger, String, and_, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.db.columns import Base, BigInt, Instant
from chassis.db.database import Database
from chassis.messaging.outbox import PARTITIONS, OutboxRow
from chassis.runtime import clock, failpoints, ids, log
from chassis.runtime.backoff import Backoff

BATCH = 200
LEASE = timedelta(seconds=5)
POLL = 1.0
_LOG = log.get("relay")


class RelayLease(Base):
    """Who relays a partition, until when; ``fence`` grows with each new holder."""

    __tablename__ = "relay_leases"
    partition: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int] = mapped_column(BigInt)
    until: Mapped[datetime] = mapped_column(Instant)


@dataclass(frozen=True)
class OutgoingMessage:
    """A message ready to be carried."""

    id: str
    type: str
    body: bytes
    occurred_at: datetime


@dataclass(frozen=True)
class PublishResult:
    """What the carrier says: ``sent`` ids are safe; ``returned`` ones had nowhere to go, with the
    reason."""

    sent: frozenset[str]
    returned: dict[str, str]


class Bus(Protocol):
    """Carries a batch. Raises when in any doubt; then nothing of the batch counts as sent."""

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Carry the messages in this order."""
        ...


class Relay:
    """Publishes what was said, in order per aggregate, at least once."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self.database, self.bus = database, bus
        self.holder = ids.new("ses")
        self._wake = threading.Event()
        self._fences: dict[int, int] = {}
        self._leased_until: datetime | None = None

    def wake(self) -> None:
        """Something was said: look now rather than at the next poll."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Relay until told to stop; trouble is logged and tried again with growing pauses."""
        backoff = Backoff(0.1, 10.0)
        while not stop.is_set():
            self._wake.clear()
            try:
                moved = self.step(clock.now())
                backoff.reset()
            except Exception:
                _LOG.warning("relay.failed", exc_info=True, pause=backoff.seconds)
                backoff.wait(stop)
                continue
            if not moved:
                self._wake.wait(POLL)
        self._release()

    def step(self, now: datetime) -> int:
        """Publish one batch of the partitions held; answers how many messages were sent."""
        if self._leased_until is None or now > self._leased_until - LEASE / 2:
            self._take_leases(now)
        with self.database.reading() as session:
            messages = self._unsent(session)
        if not messages:
            return 0
        failpoints.hit("relay.selected")
        result = self.bus.publish(messages)
        failpoints.hit("relay.published")
        with self.database.transaction() as session:
            self._mark(session, result, now)
        return len(result.sent)

    def _take_leases(self, now: datetime) -> None:
        with self.database.transaction() as session:
            known = {
                row.partition: row for row in session.scalars(select(RelayLease).with_for_update())
            }
            for partition in range(PARTITIONS):
                row = known.get(partition)
                if row is None:
                    row = RelayLease(
                        partition=partition, holder=self.holder, fence=1, until=now + LEASE
                    )
                    session.add(row)
                elif row.holder == self.holder:
                    row.until = now + LEASE
                elif row.until < now:
                    row.holder, row.fence, row.until = self.holder, row.fence + 1, now + LEASE
                known[partition] = row
            self._fences = {n: row.fence for n, row in known.items() if row.holder == self.holder}
        self._leased_until = now + LEASE

    def _release(self) -> None:
        with self.database.transaction() as session:
            session.execute(
                update(RelayLease).where(RelayLease.holder == self.holder).values(until=clock.now())
            )

    def _unsent(self, session: Session) -> list[OutgoingMessage]:
        # Asked once, not for each row: many rows of one aggregate may lie here after the bus was
        # away.
        stuck = (OutboxRow.published_at.is_(None), OutboxRow.unsendable.is_not(None))
        free = or_(
            OutboxRow.aggregate.not_in(select(OutboxRow.aggregate).where(*stuck)),
            OutboxRow.seq.in_(
                select(func.min(OutboxRow.seq)).where(*stuck).group_by(OutboxRow.aggregate)
            ),
        )
        rows = session.execute(
            select(OutboxRow.id, OutboxRow.type, OutboxRow.body, OutboxRow.occurred_at)
            .where(
                OutboxRow.published_at.is_(None), OutboxRow.partition.in_(list(self._fences)), free
            )
            .order_by(OutboxRow.unsendable.is_not(None), OutboxRow.seq)
            .limit(BATCH)
        )
        return [OutgoingMessage(row.id, row.type, row.body, row.occurred_at) for row in rows]

    def _mark(self, session: Session, result: PublishResult, now: datetime) -> None:
        ours = or_(
            *(
                and_(RelayLease.partition == n, RelayLease.fence == f)
                for n, f in self._fences.items()
            )
        )
        held = select(RelayLease.partition).where(RelayLease.holder == self.holder, ours)
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
