"""From the outbox to the bus. Several relays share its partitions, each leased to one of them, so
that they keep the order."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Boolean, Select, SmallInteger, bindparam, cast, func, or_, select, update
from sqlalchemy.orm import Session

from chassis.db.database import Database
from chassis.db.leases import Lease, Leases
from chassis.messaging.backlog import Backlog
from chassis.messaging.outbox import PARTITIONS, OutboxRow
from chassis.runtime import clock, failpoints, log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage
from chassis.runtime.readiness import Check, Progress

BATCH = 200
# The longest times between two looks for messages; the latter where the relay is woken for each.
POLL, POLL_WOKEN = timedelta(seconds=1), timedelta(seconds=3)
# Seconds from one batch to the next unless it was full, so that messages which come one after the
# other are sent together.
GATHER = 0.1
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
LOG_EVERY = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_LOG = log.get("relay")


@dataclass(frozen=True)
class OutgoingMessage:
    """A message ready to be sent."""

    id: str
    aggregate: str
    type: str
    body: bytes
    occurred_at: datetime
    returned: str | None = None  # why it was returned before


@dataclass(frozen=True)
class PublishResult:
    """``sent``: ids of the messages that the bus has stored; ``returned``: ids of those that could
    not be routed or that a queue refused, with the reason. The others were not tried."""

    sent: frozenset[str]
    returned: dict[str, str]


class Bus(Protocol):
    """Something that sends messages. If it raises, nothing of the batch counts as sent."""

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Send the messages in this order."""
        ...


def _unsent() -> Select[str, str, str, bytes, datetime, str | None]:
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
    due = or_(OutboxRow.unsendable.is_(None), bindparam("retry", type_=Boolean))
    return (
        select(
            OutboxRow.id,
            OutboxRow.aggregate,
            OutboxRow.type,
            OutboxRow.body,
            OutboxRow.occurred_at,
            OutboxRow.unsendable,
        )
        .where(OutboxRow.published_at.is_(None), mine, free, due)
        .order_by(OutboxRow.unsendable.is_not(None), OutboxRow.seq)
        .limit(BATCH)
    )


# Made once: it runs often, and making it takes longer than running it.
_UNSENT = _unsent()


class _Retries:
    """When returned messages are sent again: after pauses that grow while none of them gets
    through, because queues that have stored such a message get it once more each time."""

    def __init__(self) -> None:
        self._pause, self._at = timedelta(0), _NEVER

    def are_due(self, now: datetime) -> bool:
        """Whether returned messages are sent in this step."""
        return now >= self._at

    def note(
        self, messages: Sequence[OutgoingMessage], result: PublishResult, now: datetime
    ) -> None:
        """Choose the next time after a step in which they were due."""
        if not result.returned:
            self._pause = timedelta(0)
            return
        if any(message.returned and message.id in result.sent for message in messages):
            self._pause = FIRST_PAUSE
        else:
            self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
        self._at = now + self._pause


class Relay:
    """Sends the outbox, in order per aggregate, each message at least once. ``is_woken``: whether
    somebody calls ``wake`` for each message."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self.database, self.bus = database, bus
        self.leases = Leases(database, "relay", [str(part) for part in range(PARTITIONS)])
        self._wake = threading.Event()
        self.is_woken = False
        self._may_be_more = False
        self._retries = _Retries()
        self._logged: dict[tuple[str, str], datetime] = {}
        self._progress, self._backlog = Progress(), Backlog()

    @property
    def checks(self) -> Mapping[str, Check]:
        """Whether this relay takes its steps, and whether all messages can be sent."""
        return {"relay": self._progress.check, "outbox": self._backlog.check}

    def wake(self) -> None:
        """Look for messages now rather than at the next poll."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Relay until told to stop. Errors are logged and retried with growing pauses."""
        backoff, outage = Backoff(0.1, 10.0), Outage(_LOG, "relay.failed", "relay.recovered")
        while not stop.is_set():
            self._wake.clear()
            began = time.monotonic()
            try:
                sent = self.step(clock.now())
            except Exception as problem:
                outage.failed(problem)
                self._progress.failed(problem)
                backoff.wait(stop)
                continue
            outage.over()
            self._progress.succeeded()
            backoff.reset()
            if sent and (self._may_be_more or not self.is_woken):
                continue
            if sent:
                stop.wait(began + GATHER - time.monotonic())
            self._wake.wait(self._pause(clock.now()).total_seconds())
        self.leases.release(clock.now())

    def _pause(self, now: datetime) -> timedelta:
        # A look also renews the leases when that is due, for which no wake-up comes.
        due = max(self.leases.until_renewal(now), timedelta(0))
        return min(POLL_WOKEN if self.is_woken else POLL, due)

    def step(self, now: datetime) -> int:
        """Send a batch of the leased partitions. Returns how many messages were sent."""
        partitions = [int(part) for part in self.leases.held(now)]
        retry = self._retries.are_due(now)
        with self.database.reading() as session:
            messages = self._unsent(session, partitions, retry)
        # A message that was returned before holds up what follows it about its aggregate.
        was_stuck = any(message.returned for message in messages)
        self._may_be_more = len(messages) == BATCH or was_stuck
        self._backlog.selected([message.id for message in messages], with_returned=retry)
        if not messages:
            return 0
        failpoints.hit("relay.selected")
        result = self.bus.publish(messages)
        failpoints.hit("relay.published")
        self._backlog.tried(result.returned, with_returned=retry)
        with self.database.transaction(upkeep=True) as session:
            self._mark(session, result, now)
        if retry:
            self._retries.note(messages, result, now)
        self._log_returned(messages, result, now)
        return len(result.sent)

    def _unsent(
        self, session: Session, partitions: Sequence[int], retry: bool
    ) -> list[OutgoingMessage]:
        rows = session.execute(_UNSENT, {"partitions": partitions, "retry": retry})
        return [OutgoingMessage(*row) for row in rows]

    def _mark(self, session: Session, result: PublishResult, now: datetime) -> None:
        held = select(cast(Lease.part, SmallInteger)).where(self.leases.still_held())
        if result.sent:
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.id.in_(result.sent), OutboxRow.partition.in_(held))
                .values(published_at=now, unsendable=None)
            )
        for event_id, reason in result.returned.items():
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.id == event_id, OutboxRow.partition.in_(held))
                .values(unsendable=reason[:255])
            )

    def _log_returned(
        self, messages: Sequence[OutgoingMessage], result: PublishResult, now: datetime
    ) -> None:
        """Log the types that were returned, each at most once a minute."""
        types = {message.id: message.type for message in messages}
        counts = Counter((types[event_id], reason) for event_id, reason in result.returned.items())
        for (type_, reason), count in counts.items():
            if now - self._logged.get((type_, reason), _NEVER) >= LOG_EVERY:
                self._logged[type_, reason] = now
                _LOG.error("relay.returned", type=type_, reason=reason, messages=count)
