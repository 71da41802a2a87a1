"""Consuming messages: each has its effect once, in order per aggregate. One that fails waits for a
retry; one that can never be applied becomes a dead letter.

Independent of the broker, which hands the raw bytes to ``Inbox.receive`` and counts a message as
delivered when it returns.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from chassis.db import health, upserts
from chassis.db.database import Database
from chassis.db.unit_of_work import write_collected
from chassis.errors import Invalid
from chassis.messaging import dead_letters, inbox_batches, listeners, redeliveries, waiting
from chassis.messaging.envelope import (
    MAX_SIZE,
    Decoded,
    Delivery,
    Envelope,
    Undeliverable,
    decode,
)
from chassis.messaging.inbox_batches import Irregular, Received
from chassis.messaging.inbox_models import DeadLetter, InboxRow, Redelivery, StreamPosition
from chassis.messaging.listeners import Listener, Listeners
from chassis.messaging.waiting import RETRY_AFTER
from chassis.runtime import clock, failpoints, log

MAX_CRASHES = 5
_ATTEMPTS = 3
_LOG = log.get("inbox")
__all__ = [
    "MAX_CRASHES",
    "MAX_SIZE",
    "RETRY_AFTER",
    "Envelope",
    "Inbox",
    "Listener",
    "Listeners",
    "Undeliverable",
]


class Inbox:
    """Applies the messages that one service consumes."""

    def __init__(self, database: Database, listeners_: Listeners) -> None:
        listeners.check(listeners_)
        self.database = database
        self.listeners = listeners_
        # Messages that were counted as having killed a process, but the database was unavailable.
        self._innocent: Counter[str] = Counter()
        self._counting = threading.Lock()

    def receive(
        self,
        raw: bytes,
        *,
        published_by: str | None,
        redelivered: bool = False,
        redriven: bool = False,
        gave_up: str = "",
    ) -> None:
        """Apply the message, keep it for a retry, or dead-letter it; committed in each case.

        ``published_by``: the user who published it, as the broker authenticated it, or None if an
        operator redrives a dead letter from before that was recorded; ``redelivered``: the broker
        has delivered it before; ``redriven``: an operator wants it applied again; ``gave_up``: why
        the broker stopped delivering it, so that it is only dead-lettered.

        Raises an error of SQLAlchemy if the database is unavailable; the message then counts as not
        delivered."""
        try:
            if gave_up:
                raise Undeliverable("gave_up", gave_up)
            decoded = decode(raw, published_by, self.listeners)
            structlog.contextvars.bind_contextvars(
                message_id=decoded.envelope.id, message=decoded.envelope.type
            )
            if redelivered:
                self._count_crash(decoded)
            try:
                self._apply_or_wait(decoded, raw, redriven)
            except Exception as problem:
                if redelivered and health.is_unavailable(problem):
                    with self._counting:
                        self._innocent[decoded.envelope.id] += 1
                raise
        except Undeliverable as problem:
            self._dead_letter(raw, problem, published_by)
        finally:
            structlog.contextvars.unbind_contextvars("message_id", "message")

    def receive_together(self, deliveries: Sequence[Delivery]) -> bool:
        """Apply the messages in this order in one transaction. False if one of them has to be
        received on its own, for whatever reason; nothing was done then.

        Raises an error of SQLAlchemy if the database is unavailable; none then counts as
        delivered."""
        try:
            messages = [
                Received(decode(raw, published_by, self.listeners), raw)
                for raw, published_by, _ in deliveries
            ]
            redelivered = [
                message.envelope.id
                for message, delivery in zip(messages, deliveries, strict=True)
                if delivery.redelivered
            ]
            if redeliveries.suspects(self.database, redelivered):
                return False
            redeliveries.note(self.database, redelivered)
            with self.database.transaction() as session:
                inbox_batches.apply(session, messages, self.listeners)
                write_collected(session)
                failpoints.hit("consumer.before_commit")
        except (Undeliverable, Irregular):
            return False
        except Exception as problem:
            if health.is_unavailable(problem):
                raise
            _LOG.info("messages.separated", error=type(problem).__name__, count=len(deliveries))
            return False
        return True

    def retry_due(self, now: datetime, limit: int = 100) -> int:
        """Retry the messages that are due. Returns how many were tried."""
        with self.database.reading() as session:
            due = waiting.due(session, now, limit)
        for row in due:
            self._retry(row.id, row.body)
        return len(due)

    def dead_letters(self) -> list[str]:
        """The dead letters that were not redriven, a line each."""
        with self.database.reading() as session:
            return dead_letters.summaries(session)

    def redrive(self, *, dead_letter_id: str | None = None) -> int:
        """Apply dead letters, each at most once and with the checks of its first delivery: one, or
        all except those that none of our services published. Returns how many were tried."""
        with self.database.reading() as session:
            tried = dead_letters.to_redrive(session, dead_letter_id)
        for dead in tried:
            self.receive(dead.body, published_by=dead.published_by, redriven=True)
            # One that failed again was kept again, at a later time, and stays to be redriven.
            same = (DeadLetter.id == dead.id, DeadLetter.failed_at == dead.failed_at)
            with self.database.transaction() as session:
                session.execute(update(DeadLetter).where(*same).values(redriven_at=clock.now()))
        return len(tried)

    def _apply_or_wait(self, decoded: Decoded, raw: bytes, redriven: bool) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.database.transaction(
                    correlation=decoded.envelope.correlation, causation=decoded.envelope.id
                ) as session:
                    self._apply(session, decoded, raw, redriven)
                return
            except Undeliverable:
                raise
            except Invalid as problem:
                raise Undeliverable("invalid", problem.detail) from problem
            except Exception as problem:
                if health.is_unavailable(problem):
                    raise
                if attempt == _ATTEMPTS or health.is_time_limit(problem):
                    _LOG.warning("message.failed", exc_info=True)
                    self._wait(decoded, raw, problem)
                    return

    def _retry(self, message_id: str, raw: bytes) -> None:
        try:
            # Its producer was checked before it began to wait.
            decoded = decode(raw, None, self.listeners)
            with self.database.transaction(
                correlation=decoded.envelope.correlation, causation=decoded.envelope.id
            ) as session:
                row = waiting.lock(session, message_id)
                if row is None or waiting.is_behind(session, decoded.envelope):
                    return
                self._apply(session, decoded, raw, redriven=True)
                session.delete(row)
        except Undeliverable as problem:
            self._stop_waiting(message_id, raw, problem)
        except Invalid as problem:
            self._stop_waiting(message_id, raw, Undeliverable("invalid", problem.detail))
        except Exception as problem:
            if health.is_unavailable(problem):
                raise
            _LOG.warning("message.failed_again", exc_info=True)
            self._wait(decoded, raw, problem)

    def _apply(self, session: Session, decoded: Decoded, raw: bytes, redriven: bool) -> None:
        envelope, ordered = decoded.envelope, decoded.message.ORDERED
        if not _is_first_time(session, decoded):
            _LOG.info("message.repeated")
            return
        if ordered and not redriven and waiting.is_behind(session, envelope):
            waiting.add_behind(session, [(decoded, raw)])
            session.delete(session.get_one(InboxRow, envelope.id))
            return
        if ordered and not _advance(session, envelope) and not redriven:
            raise Undeliverable("stale", f"version {envelope.version} came after a newer one")
        listener = self.listeners[type(decoded.message)]
        listeners.call(listener, session, envelope, decoded.message)
        write_collected(session)
        failpoints.hit("consumer.before_commit")

    def _wait(self, decoded: Decoded, raw: bytes, problem: Exception) -> None:
        """Keep the message for a retry. That the database was slow or locked counts for nothing."""
        error = f"{type(problem).__name__}: {problem}"
        with self.database.transaction() as session:
            if health.is_contention(problem):
                waiting.add_delayed(session, decoded, raw, error)
            else:
                waiting.add_failed(session, decoded, raw, error)

    def _stop_waiting(self, message_id: str, raw: bytes, problem: Undeliverable) -> None:
        with self.database.transaction() as session:
            published_by = waiting.remove(session, message_id)
            dead_letters.keep(
                session, raw, problem, published_by=published_by, attempts=0, now=clock.now()
            )

    def _dead_letter(self, raw: bytes, problem: Undeliverable, published_by: str | None) -> None:
        _LOG.error("message.dead", reason=problem.reason, detail=problem.detail)
        with self.database.transaction() as session:
            dead_letters.keep(
                session, raw, problem, published_by=published_by, attempts=0, now=clock.now()
            )

    def _count_crash(self, decoded: Decoded) -> None:
        """Committed before the listener runs, so that a message which kills the process becomes a
        dead letter in the end."""
        with self._counting:
            innocent, self._innocent = self._innocent, Counter()
        try:
            with self.database.transaction() as session:
                _acquit(session, innocent)
                row = session.get(Redelivery, decoded.envelope.id)
                if row is None:
                    row = Redelivery(id=decoded.envelope.id, times=0)
                    session.add(row)
                row.times += 1
                row.last_at = decoded.envelope.now
                crashes = row.times
        except Exception:
            with self._counting:
                self._innocent.update(innocent)
            raise
        if crashes > MAX_CRASHES:
            raise Undeliverable("crashes", f"delivered {crashes} times and never finished")


def _acquit(session: Session, innocent: Mapping[str, int]) -> None:
    """Take back what was counted while the database was unavailable."""
    for message_id, times in innocent.items():
        counted = update(Redelivery).where(Redelivery.id == message_id)
        session.execute(counted.values(times=Redelivery.times - times))


def _is_first_time(session: Session, decoded: Decoded) -> bool:
    """Note the message; False if it was noted before. Raises Undeliverable if that was another
    message with the same id."""
    insert = (
        upserts.insert(session, InboxRow)
        .values(
            {
                InboxRow.id: decoded.envelope.id,
                InboxRow.digest: decoded.digest,
                InboxRow.consumed_at: decoded.envelope.now,
            }
        )
        .on_conflict_do_nothing()
        .returning(InboxRow.id)
    )
    if session.execute(insert).first() is not None:
        return True
    if session.get_one(InboxRow, decoded.envelope.id).digest != decoded.digest:
        raise Undeliverable("bad_envelope", "another message with this id was consumed before")
    return False


def _advance(session: Session, envelope: Envelope) -> bool:
    """Note the position in the aggregate's stream; False if it was already reached."""
    insert = upserts.insert(session, StreamPosition).values(
        source=envelope.source, aggregate=envelope.aggregate, version=envelope.version
    )
    moved = session.execute(
        insert.on_conflict_do_update(
            index_elements=["source", "aggregate"],
            set_={"version": envelope.version},
            where=StreamPosition.version < envelope.version,
        ).returning(StreamPosition.version)
    )
    return moved.first() is not None
