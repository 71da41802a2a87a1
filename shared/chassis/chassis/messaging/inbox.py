"""Hearing things: each message has its effect once, in order per aggregate; what fails waits or is
laid aside.

Knows no broker. Whoever carries messages hands ``Inbox.receive`` the raw bytes and counts a message
as delivered when it returns.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, aliased

from chassis.db import upserts
from chassis.db.database import Database
from chassis.db.unit_of_work import write_collected
from chassis.errors import Invalid
from chassis.messaging import dead_letters, listeners
from chassis.messaging.envelope import LARGEST, Decoded, Envelope, Undeliverable, decode, writable
from chassis.messaging.inbox_models import (
    DeadLetter,
    InboxRow,
    Redelivery,
    StreamPosition,
    WaitingMessage,
)
from chassis.messaging.listeners import Listener, Listeners
from chassis.runtime import clock, failpoints, log

RETRY_AFTER = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
)
CRASHES = 5
_LOG = log.get("inbox")
__all__ = [
    "CRASHES",
    "LARGEST",
    "RETRY_AFTER",
    "Envelope",
    "Inbox",
    "Listener",
    "Listeners",
    "Undeliverable",
    "is_disconnect",
]


class Inbox:
    """One service's ears."""

    def __init__(self, database: Database, listeners_: Listeners) -> None:
        listeners.check(listeners_)
        self.database = database
        self.listeners = listeners_

    def receive(
        self,
        raw: bytes,
        *,
        published_by: str | None = None,
        again: bool = False,
        redriven: bool = False,
        gave_up: str = "",
    ) -> None:
        """Apply the message, or remember it for later, or lay it aside with the reason: committed
        either way.

        ``published_by``: the broker's word for who published it; ``again``: the carrier has delivered it before;
        ``gave_up``: why the carrier itself has given it up, so that it is only laid aside.
        Raises SQLAlchemy's OperationalError when the database can't be reached: the message is not delivered."""
        try:
            if gave_up:
                raise Undeliverable("gave_up", gave_up)
            decoded = decode(raw, published_by, self.listeners)
            structlog.contextvars.bind_contextvars(
                message_id=decoded.envelope.id, message=decoded.envelope.type
            )
            if again:
                self._count_crash(decoded)
            self._apply_or_wait(decoded, raw, redriven)
        except Undeliverable as problem:
            self._lay_aside(raw, problem)
        finally:
            structlog.contextvars.unbind_contextvars("message_id", "message")

    def _apply_or_wait(self, decoded: Decoded, raw: bytes, redriven: bool) -> None:
        for attempt in (1, 2, 3):
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
            except (OperationalError, PoolTimeout) as problem:
                if is_disconnect(problem) or attempt == 3:
                    raise
            except Exception as problem:
                if attempt == 3:
                    _LOG.warning("message.failed", exc_info=True)
                    self._wait(decoded, raw, f"{type(problem).__name__}: {problem}")

    def _apply(self, session: Session, decoded: Decoded, raw: bytes, redriven: bool) -> None:
        envelope, ordered = decoded.envelope, decoded.message.ORDERED
        if not self._first_time(session, decoded):
            _LOG.info("message.repeated")
            return
        if ordered and not redriven and self._is_behind(session, envelope):
            self._add_waiting(
                session, decoded, raw, due=envelope.now, error="behind an earlier message"
            )
            session.delete(session.get_one(InboxRow, envelope.id))
            return
        if ordered and not self._advance(session, envelope) and not redriven:
            raise Undeliverable("stale", f"version {envelope.version} came after a newer one")
        listener = self.listeners[type(decoded.message)]
        listeners.call(listener, session, envelope, decoded.message)
        write_collected(session)
        failpoints.hit("consumer.before_commit")

    def _first_time(self, session: Session, decoded: Decoded) -> bool:
        values = {
            "id": decoded.envelope.id,
            "digest": decoded.digest,
            "heard_at": decoded.envelope.now,
        }
        insert = (
            upserts.insert(session, InboxRow)
            .values(values)
            .on_conflict_do_nothing()
            .returning(InboxRow.id)
        )
        if session.execute(insert).first() is not None:
            return True
        if session.get_one(InboxRow, decoded.envelope.id).digest != decoded.digest:
            raise Undeliverable("bad_envelope", "this id was heard before with another body")
        return False

    def _is_behind(self, session: Session, envelope: Envelope) -> bool:
        earlier = select(WaitingMessage.id).where(
            WaitingMessage.source == envelope.source,
            WaitingMessage.aggregate == envelope.aggregate,
            WaitingMessage.version < envelope.version,
        )
        return session.execute(earlier.limit(1)).first() is not None

    def _advance(self, session: Session, envelope: Envelope) -> bool:
        """Note the position in the aggregate's stream; False if it had already come this far."""
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

    def _wait(self, decoded: Decoded, raw: bytes, error: str) -> None:
        with self.database.transaction() as session:
            row = session.get(WaitingMessage, decoded.envelope.id)
            if row is None:
                self._add_waiting(
                    session,
                    decoded,
                    raw,
                    due=decoded.envelope.now + RETRY_AFTER[0],
                    error=error,
                    attempts=1,
                )
            elif row.attempts >= len(RETRY_AFTER):
                session.delete(row)
                problem = Undeliverable("failed", error)
                now = decoded.envelope.now
                dead_letters.keep(session, raw, problem, attempts=row.attempts, now=now)
            else:
                row.due_at = decoded.envelope.now + RETRY_AFTER[row.attempts]
                row.attempts, row.error = row.attempts + 1, writable(error)

    def _add_waiting(
        self,
        session: Session,
        decoded: Decoded,
        raw: bytes,
        *,
        due: datetime,
        error: str,
        attempts: int = 0,
    ) -> None:
        if session.get(WaitingMessage, decoded.envelope.id) is None:
            envelope = decoded.envelope
            session.add(
                WaitingMessage(
                    id=envelope.id,
                    source=envelope.source,
                    aggregate=envelope.aggregate,
                    version=envelope.version,
                    type=envelope.type,
                    body=raw,
                    attempts=attempts,
                    due_at=due,
                    error=writable(error),
                )
            )

    def _count_crash(self, decoded: Decoded) -> None:
        """Written before the listener runs, so that a message which kills the process is laid aside
        in the end."""
        with self.database.transaction() as session:
            row = session.get(Redelivery, decoded.envelope.id) or Redelivery(
                id=decoded.envelope.id, times=0
            )
            row.times, row.last_at = row.times + 1, decoded.envelope.now
            session.add(row)
            crashes = row.times
        if crashes > CRASHES:
            raise Undeliverable("crashes", f"delivered {crashes} times without an end")

    def _lay_aside(self, raw: bytes, problem: Undeliverable) -> None:
        _LOG.error("message.dead", reason=problem.reason, detail=problem.detail)
        with self.database.transaction() as session:
            dead_letters.keep(session, raw, problem, attempts=0, now=clock.now())

    def retry_due(self, now: datetime, limit: int = 100) -> int:
        """Try what is due again and first of its stream; answers how many were tried."""
        earlier = aliased(WaitingMessage)
        behind = select(earlier.id).where(
            earlier.source == WaitingMessage.source,
            earlier.aggregate == WaitingMessage.aggregate,
            earlier.version < WaitingMessage.version,
        )
        with self.database.reading() as session:
            due = session.execute(
                select(WaitingMessage.id, WaitingMessage.body)
                .where(WaitingMessage.due_at <= now, ~behind.exists())
                .order_by(WaitingMessage.due_at)
                .limit(limit)
            ).all()
        for row in due:
            self._retry(row.id, row.body)
        return len(due)

    def _retry(self, event_id: str, raw: bytes) -> None:
        try:
            decoded = decode(raw, None, self.listeners)
            for_this = (
                select(WaitingMessage)
                .where(WaitingMessage.id == event_id)
                .with_for_update(skip_locked=True)
            )
            with self.database.transaction(
                correlation=decoded.envelope.correlation, causation=decoded.envelope.id
            ) as session:
                row = session.execute(for_this).scalar_one_or_none()
                if row is None or self._is_behind(session, decoded.envelope):
                    return
                self._apply(session, decoded, raw, redriven=True)
                session.delete(row)
        except (Undeliverable, Invalid) as problem:
            reason = (
                problem
                if isinstance(problem, Undeliverable)
                else Undeliverable("invalid", problem.detail)
            )
            with self.database.transaction() as session:
                session.execute(delete(WaitingMessage).where(WaitingMessage.id == event_id))
                dead_letters.keep(session, raw, reason, attempts=0, now=clock.now())
        except Exception as problem:
            _LOG.warning("message.failed_again", exc_info=True)
            self._wait(decoded, raw, f"{type(problem).__name__}: {problem}")

    def dead_letters(self) -> list[str]:
        """The dead letters that were not redriven, a line each."""
        with self.database.reading() as session:
            return dead_letters.summaries(session)

    def redrive(self, *, dead_letter_id: str | None = None) -> int:
        """Apply dead letters (one, or all that were kept whole), each at most once; returns how
        many were tried."""
        with self.database.reading() as session:
            tried = dead_letters.to_redrive(session, dead_letter_id)
        for dead in tried:
            self.receive(dead.body, redriven=True)
            # One that failed again was kept again, at a later time, and stays to be redriven.
            same = (DeadLetter.id == dead.id, DeadLetter.laid_aside_at == dead.laid_aside_at)
            with self.database.transaction() as session:
                session.execute(update(DeadLetter).where(*same).values(redriven_at=clock.now()))
        return len(tried)


def is_disconnect(problem: Exception) -> bool:
    """Whether the database is away, rather than slow or locked."""
    return (isinstance(problem, DBAPIError) and problem.connection_invalidated) or isinstance(
        problem, PoolTimeout
    )
