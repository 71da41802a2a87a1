"""Reports messages that wait for long: in the outbox until they are sent, and as waiting messages
until they are applied."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, union_all

from chassis.db.database import Database
from chassis.messaging.inbox_models import WaitingMessage
from chassis.messaging.outbox import PARTITIONS, OutboxRow
from chassis.runtime import ids, log

LIMIT = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOG = log.get("tick")


def _oldest_unsent() -> Any:
    # One look into the index of unsent rows for each partition, however many of them wait.
    firsts = (
        select(OutboxRow.id, OutboxRow.type, OutboxRow.occurred_at, OutboxRow.unsendable)
        .where(OutboxRow.published_at.is_(None), OutboxRow.partition == partition)
        .order_by(OutboxRow.seq)
        .limit(1)
        .subquery()
        for partition in range(PARTITIONS)
    )
    oldest = union_all(*(select(first) for first in firsts)).subquery()
    return select(oldest).order_by(oldest.c.occurred_at).limit(1)


_OLDEST_UNSENT = _oldest_unsent()
# The ids of messages begin with the time at which they were published. Those of programs outside
# may not, so more than one is looked at.
_OLDEST_WAITING = (
    select(WaitingMessage.id, WaitingMessage.type, WaitingMessage.attempts, WaitingMessage.error)
    .order_by(WaitingMessage.id)
    .limit(20)
)


def report(database: Database, now: datetime, _settings: Any) -> int:
    """Log the oldest unsent message and the oldest waiting one if they are older than a minute."""
    with database.reading() as session:
        unsent = session.execute(_OLDEST_UNSENT).first()
        rows = session.execute(_OLDEST_WAITING).all()
    waiting = next((row for row in rows if _tells_time(row.id)), None)
    if unsent and now - unsent.occurred_at > LIMIT:
        _LOG.warning(
            "outbox.delayed",
            seconds=(now - unsent.occurred_at) // timedelta(seconds=1),
            message_id=unsent.id,
            type=unsent.type,
            reason=unsent.unsendable,
        )
    if waiting and _age(waiting.id, now) > LIMIT:
        _LOG.warning(
            "inbox.delayed",
            seconds=_age(waiting.id, now) // timedelta(seconds=1),
            message_id=waiting.id,
            type=waiting.type,
            attempts=waiting.attempts,
            reason=waiting.error,
        )
    return 0


def _tells_time(message_id: str) -> bool:
    return ids.to_uuid("evt", message_id).version == 7


def _age(message_id: str, now: datetime) -> timedelta:
    # Not by way of the time in the id, which may be beyond the last one that there is here.
    milliseconds = ids.to_uuid("evt", message_id).int >> 80
    return now - _EPOCH - timedelta(milliseconds=milliseconds)
