"""From the outbox to the bus. Each partition of the outbox is leased to one relay, so that several
relays keep the order."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Select, SmallInteger, String, and_, bindparam, func, or_, select, update
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
    """Which relay holds a partition until when. ``fence`` grows with each new holder."""

    __tablename__ = "relay_leases"
    partition: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int] = mapped_column(BigInt)
    until: Mapped[datetime] = mapped_column(Instant)


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
        self.holder = ids.new("rly")
        self._wake = threading.Event()
        self._fences: dict[int, int] = {}
        self._leased_until: datetime | None = None

    def wake(self) -> None:
        """Look for messages now rather than at the next poll."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Relay until told to stop. Errors are logged and retried with growing pauses."""
        backoff = Backoff(0.1, 10.0)
        while not stop.is_set():
            self._wake.clear()
            try:
                sent = self.step(clock.now())
                backoff.reset()
            except Exception:
                _LOG.warning("relay.failed", exc_info=True, pause=backoff.seconds)
                backoff.wait(stop)
                continue
            if not sent:
                self._wake.wait(POLL)
        self._release()

    def step(self, now: datetime) -> int:
        """Send a batch of the leased partitions. Returns how many messages were sent."""
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
            existing = session.scalars(select(RelayLease).with_for_update())
            leases = {lease.partition: lease for lease in existing}
            for partition in range(PARTITIONS):
                lease = leases.get(partition)
                if lease is None:
                    lease = RelayLease(
                        partition=partition, holder=self.holder, fence=1, until=now + LEASE
                    )
                    leases[partition] = lease
                    session.add(lease)
                elif lease.holder == self.holder:
                    lease.until = now + LEASE
                elif lease.until < now:
                    lease.holder = self.holder
                    lease.fence += 1
                    lease.until = now + LEASE
            self._fences = {
                partition: lease.fence
                for partition, lease in leases.items()
                if lease.holder == self.holder
            }
        self._leased_until = now + LEASE

    def _release(self) -> None:
        with self.database.transaction() as session:
            session.execute(
                update(RelayLease).where(RelayLease.holder == self.holder).values(until=clock.now())
            )

    def _unsent(self, session: Session) -> list[OutgoingMessage]:
        rows = session.execute(_UNSENT, {"partitions": list(self._fences)})
        return [OutgoingMessage(row.id, row.type, row.body, row.occurred_at) for row in rows]

    def _mark(self, session: Session, result: PublishResult, now: datetime) -> None:
        fences = [
            and_(RelayLease.partition == partition, RelayLease.fence == fence)
            for partition, fence in self._fences.items()
        ]
        held = select(RelayLease.partition).where(RelayLease.holder == self.holder, or_(*fences))
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
