"""Messages that wait: those that failed, until their retry is due, and those of the same aggregate
behind them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, select
from sqlalchemy.orm import Session, aliased

from chassis.db import upserts
from chassis.messaging import dead_letters
from chassis.messaging.envelope import Decoded, Envelope, Undeliverable, writable
from chassis.messaging.inbox_models import WaitingMessage

RETRY_AFTER = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
)


def _due() -> Select[str, bytes]:
    earlier = aliased(WaitingMessage)
    is_first = ~(
        select(earlier.id)
        .where(
            earlier.source == WaitingMessage.source,
            earlier.aggregate == WaitingMessage.aggregate,
            earlier.version < WaitingMessage.version,
        )
        .exists()
    )
    return (
        select(WaitingMessage.id, WaitingMessage.body)
        .where(WaitingMessage.due_at <= bindparam("now"), is_first)
        .order_by(WaitingMessage.due_at)
        .limit(bindparam("limit"))
    )


# Made once: it runs often, and making it takes longer than running it.
_DUE = _due()


def is_behind(session: Session, envelope: Envelope) -> bool:
    """Whether an earlier message of the same stream waits."""
    earlier = select(WaitingMessage.id).where(
        WaitingMessage.source == envelope.source,
        WaitingMessage.aggregate == envelope.aggregate,
        WaitingMessage.version < envelope.version,
    )
    return session.execute(earlier.limit(1)).first() is not None


def first_versions(session: Session, envelopes: Sequence[Envelope]) -> dict[tuple[str, str], int]:
    """Of the streams of these messages in which any waits, source and aggregate, each with the
    version of the first one that does."""
    query = (
        select(WaitingMessage.source, WaitingMessage.aggregate, func.min(WaitingMessage.version))
        .where(
            WaitingMessage.source.in_({envelope.source for envelope in envelopes}),
            WaitingMessage.aggregate.in_({envelope.aggregate for envelope in envelopes}),
        )
        .group_by(WaitingMessage.source, WaitingMessage.aggregate)
    )
    return {(source, aggregate): first for source, aggregate, first in session.execute(query)}


def add_behind(session: Session, messages: Sequence[tuple[Decoded, bytes]]) -> None:
    """Let the messages, each with its bytes, wait behind an earlier one of their stream."""
    if not messages:
        return
    error = "behind an earlier message"
    rows = [
        _values(decoded, raw, decoded.envelope.now, attempts=0, error=error)
        for decoded, raw in messages
    ]
    insert = upserts.insert(session, WaitingMessage).on_conflict_do_nothing()
    session.connection().execute(insert, rows)


def add_failed(session: Session, decoded: Decoded, raw: bytes, error: str) -> None:
    """Schedule the next retry of a message that failed; after the last one, dead-letter it."""
    now = decoded.envelope.now
    row = session.get(WaitingMessage, decoded.envelope.id)
    if row is None:
        values = _values(decoded, raw, now + RETRY_AFTER[0], attempts=1, error=error)
        session.add(WaitingMessage(**values))
    elif row.attempts < len(RETRY_AFTER):
        row.due_at = now + RETRY_AFTER[row.attempts]
        row.attempts += 1
        row.error = writable(error)
    else:
        session.delete(row)
        dead_letters.keep(
            session,
            raw,
            Undeliverable("failed", error),
            published_by=decoded.envelope.producer,
            attempts=row.attempts,
            now=now,
        )


def add_delayed(session: Session, decoded: Decoded, raw: bytes, error: str) -> None:
    """Let the message wait because the database was slow or locked, however often that happens."""
    due_at = decoded.envelope.now + RETRY_AFTER[0]
    row = session.get(WaitingMessage, decoded.envelope.id)
    if row is None:
        session.add(WaitingMessage(**_values(decoded, raw, due_at, attempts=0, error=error)))
    else:
        row.due_at, row.error = due_at, writable(error)


def due(session: Session, now: datetime, limit: int) -> Sequence[Row[str, bytes]]:
    """Id and bytes of the messages that are due and the first of their stream, oldest first."""
    return session.execute(_DUE, {"now": now, "limit": limit}).all()


def lock(session: Session, message_id: str) -> WaitingMessage | None:
    """The waiting message, unless it is gone or being retried elsewhere."""
    query = select(WaitingMessage).where(WaitingMessage.id == message_id)
    return session.execute(query.with_for_update(skip_locked=True)).scalar_one_or_none()


def remove(session: Session, message_id: str) -> str | None:
    """Stop waiting for a message. Returns the service that published it."""
    query = delete(WaitingMessage).where(WaitingMessage.id == message_id)
    source = session.scalar(query.returning(WaitingMessage.source))
    return source and source.removeprefix("/")


def _values(
    decoded: Decoded, raw: bytes, due_at: datetime, *, attempts: int, error: str
) -> dict[str, Any]:
    envelope = decoded.envelope
    return {
        "id": envelope.id,
        "source": envelope.source,
        "aggregate": envelope.aggregate,
        "version": envelope.version,
        "type": envelope.type,
        "body": raw,
        "attempts": attempts,
        "due_at": due_at,
        "error": writable(error),
    }
