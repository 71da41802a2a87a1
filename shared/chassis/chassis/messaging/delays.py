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
# The ids of messages begin with the time at which they were published.
_OLDEST_WAITING = (
    select(WaitingMessage.id, WaitingMessage.type, WaitingMessage.attempts, WaitingMessage.error)
    .order_by(WaitingMessage.id)
    .limit(1)
)


def report(database: Database, now: datetime, _settings: Any) -> int:
    """Log the oldest unsent message and the oldest waiting one if they are older than a minute."""
    with database.reading() as session:
        unsent = session.execute(_OLDEST_UNSENT).first()
        waiting = session.execute(_OLDEST_WAITING).first()
    if unsent and now - unsent.occurred_at > LIMIT:
        _LOG.warning(
            "outbox.delayed",
            seconds=(now - unsent.occurred_at) // timedelta(seconds=1),
            message_id=unsent.id,
            type=unsent.type,
            reason=unsent.unsendable,
        )
    if waiting and now - _made_at(waiting.id) > LIMIT:
        _LOG.warning(
            "inbox.delayed",
            seconds=(now - _made_at(waiting.id)) // timedelta(seconds=1),
            message_id=waiting.id,
            type=waiting.type,
            attempts=waiting.attempts,
            reason=waiting.error,
        )
    return 0


def _made_at(message_id: str) -> datetime:
    return datetime.fromtimestamp((ids.to_uuid("evt", message_id).int >> 80) / 1000, UTC)
