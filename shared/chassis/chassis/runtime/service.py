"""What a service consists of, as its ``app`` module declares it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import Message
from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from chassis.db import idempotency_keys, schema
from chassis.db.database import Database
from chassis.http.client import Transport
from chassis.messaging import delays
from chassis.messaging.batches import Batch
from chassis.messaging.inbox import Inbox, Listeners
from chassis.messaging.inbox_models import InboxRow, Redelivery, RefusedDeadLetters
from chassis.messaging.outbox import OutboxRow
from chassis.runtime.readiness import Check, kept

if TYPE_CHECKING:
    from flask import Flask

RETENTION = timedelta(days=14)
_DELETE_BATCH = 1000
# For how long it counts that the database could be written, and that its schema was new enough.
_DATABASE_SECONDS = 10.0
_SCHEMA_SECONDS = 60.0


@dataclass(frozen=True)
class Job:
    """Work that is due by the clock.

    ``run(database, now, settings)`` returns how much it did. It is called again immediately while
    it does something, else after ``every`` seconds, which grow up to ``idle`` while no data
    changes. ``lane``: jobs of one lane run one after the other; a long job gets its own, so that
    the others need not wait for it. ``calls_services``: ``run`` gets ``transports`` to the
    upstreams as well."""

    name: str
    every: float
    run: Callable[..., int]
    lane: str = ""
    calls_services: bool = False
    idle: float = 30.0


@dataclass(frozen=True)
class Service:
    """``web``: the module with ``create_app``, loaded only where requests are served;
    ``upstreams``: the services it calls, each with the setting that holds its address;
    ``batches``: the kinds of its messages that are consumed in batches, each from its own queue."""

    name: str
    settings: type
    web: str
    listeners: Listeners
    migrations: Path
    jobs: tuple[Job, ...] = ()
    upstreams: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[type[Message], Batch] = field(default_factory=dict)

    def create_app(
        self, settings: Any, database: Database, transports: Mapping[str, Transport]
    ) -> "Flask":
        """The web application."""
        app: Flask = import_module(self.web).create_app(settings, database, transports)
        app.extensions["readiness"].add(self.checks(database))
        return app

    def with_transports(self, transports: Mapping[str, Transport]) -> "Service":
        """The service whose jobs call other services by these."""
        jobs = tuple(
            replace(job, run=partial(job.run, transports=transports)) if job.calls_services else job
            for job in self.jobs
        )
        return replace(self, jobs=jobs)

    def checks(self, database: Database) -> Mapping[str, Check]:
        """Whether the service's database can be used, in any role."""
        return {
            "database": kept(database.check, _DATABASE_SECONDS),
            "schema": kept(schema.check(database, self.migrations), _SCHEMA_SECONDS),
        }

    def all_jobs(self) -> tuple[Job, ...]:
        """The jobs of this service and those of every service."""

        def retry(database: Database, now: datetime, _settings: Any) -> int:
            return Inbox(database, self.listeners).retry_due(now)

        retry_messages = Job("retry_messages", 1, retry, "messages", idle=10)
        delete_expired = Job("delete_expired", 60, _delete_expired)
        report_delays = Job("report_delays", 60, delays.report)
        return (*self.jobs, retry_messages, delete_expired, report_delays)


def _delete_expired(database: Database, now: datetime, _settings: Any) -> int:
    """Delete a batch of the rows past their retention. Unsent messages are never deleted."""
    with database.transaction() as session:
        return (
            idempotency_keys.delete_expired(session, now)
            + _delete_old(session, InboxRow.id, InboxRow.consumed_at, now)
            + _delete_old(session, Redelivery.id, Redelivery.last_at, now)
            + _delete_old(session, RefusedDeadLetters.published_by, RefusedDeadLetters.last_at, now)
            + _delete_old(session, OutboxRow.seq, OutboxRow.published_at, now)
        )


def _delete_old(
    session: Session, key: InstrumentedAttribute[Any], at: InstrumentedAttribute[Any], now: datetime
) -> int:
    old = select(key).where(at < now - RETENTION).limit(_DELETE_BATCH)
    deleted = session.execute(delete(key.class_).where(key.in_(old)))
    return int(deleted.rowcount)  # type: ignore[attr-defined]
