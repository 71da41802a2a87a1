"""What a service is made of, as its ``app`` room declares it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from contracts import Message
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from chassis.db.database import Database
from chassis.http import idempotency
from chassis.http.client import Transport
from chassis.messaging.batches import Batch
from chassis.messaging.inbox import Inbox, Listeners
from chassis.messaging.inbox_models import InboxRow, Redelivery
from chassis.messaging.outbox import OutboxRow

KEPT = timedelta(days=14)


@dataclass(frozen=True)
class Job:
    """Work that is due by the clock. ``run(database, now, settings)`` answers how much it did;
    while it did something it is called again at once, else after ``every`` seconds. ``lane``: what
    takes long has one of its own, so that the others of the service need not wait for it."""

    name: str
    every: float
    run: Callable[[Database, datetime, Any], int]
    lane: str = ""


@dataclass(frozen=True)
class Service:
    """``upstreams``: service -> the setting that holds its address. ``batches``: of what it listens to, those kinds
    that are heard many at a time, from a queue of their own."""

    name: str
    settings: type
    create_app: Callable[[Any, Database, Mapping[str, Transport]], Flask]
    listeners: Listeners
    migrations: Path
    jobs: tuple[Job, ...] = ()
    upstreams: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[type[Message], Batch] = field(default_factory=dict)

    def all_jobs(self) -> tuple[Job, ...]:
        """The service's own jobs and those that every service has."""

        def retry(database: Database, now: datetime, _settings: Any) -> int:
            return Inbox(database, self.listeners).retry_due(now)

        return (*self.jobs, Job("retry_messages", 1, retry), Job("forget", 60, _forget))


def _forget(database: Database, now: datetime, _settings: Any) -> int:
    """Delete what has served its time, a batch at a time. Unsent messages are never deleted."""
    with database.transaction() as session:
        return (
            idempotency.delete_expired(session, now)
            + _delete_old(session, InboxRow.id, InboxRow.heard_at, now)
            + _delete_old(session, Redelivery.id, Redelivery.last_at, now)
            + _delete_old(session, OutboxRow.seq, OutboxRow.published_at, now)
        )


def _delete_old(
    session: Session, key: InstrumentedAttribute[Any], at: InstrumentedAttribute[Any], now: datetime
) -> int:
    old = select(key).where(at < now - KEPT).limit(1000)
    return int(session.execute(delete(key.class_).where(key.in_(old))).rowcount)  # type: ignore[attr-defined]
