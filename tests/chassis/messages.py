"""Messages as they are sent, valid or not, and a table that shows their effects."""

import json
from datetime import UTC, datetime
from typing import Any

from chassis.db import columns
from chassis.db.database import Database
from chassis.messaging import outbox
from chassis.messaging.inbox import Envelope, Inbox
from chassis.runtime import ids
from contracts import billing
from sqlalchemy import Integer, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.databases import Schema

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Base(DeclarativeBase):
    metadata = columns.metadata()


class Effect(Base):
    """The effect of a listener or a view."""

    __tablename__ = "effects"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    word: Mapped[str] = mapped_column(String(255))


def _create_tables(url: str) -> None:
    database = Database(url)
    columns.Base.metadata.create_all(database.engine)
    Base.metadata.create_all(database.engine)
    database.close()


CHASSIS = Schema("chassis", _create_tables)


def effects(database: Database) -> list[str]:
    """Every effect, in the order it happened."""
    with database.reading() as session:
        return list(session.scalars(select(Effect.word).order_by(Effect.id)))


def opened(organization_id: str) -> billing.AccountOpened:
    return billing.AccountOpened(organization_id=organization_id)


def note(session: Session, envelope: Envelope, *, organization_id: str) -> None:
    """A listener that notes the aggregate and version of each message."""
    session.add(Effect(word=f"{organization_id} {envelope.version}"))


def event_of(organization_id: str, version: int = 1, **other: Any) -> dict[str, Any]:
    """The members of a valid message. ``other`` replaces members; None removes one."""
    members = {
        "id": ids.new("evt"),
        "source": "/billing",
        "type": billing.AccountOpened.TYPE,
        "specversion": "1.0",
        "time": "2026-03-01T12:00:00Z",
        "subject": organization_id,
        "datacontenttype": "application/json",
        "sequence": str(version),
        "correlationid": "a-request",
        "data": {"organization_id": organization_id},
    }
    return {name: value for name, value in (members | other).items() if value is not None}


def raw(organization_id: str, version: int = 1, **other: Any) -> bytes:
    """A message as it is sent."""
    return json.dumps(event_of(organization_id, version, **other)).encode()


def receive(inbox: Inbox, body: bytes, *, published_by: str = "billing", **other: Any) -> None:
    """Consume a message as the broker delivers it from this producer."""
    inbox.receive(body, published_by=published_by, **other)


def publish_opened(database: Database, *organization_ids: str) -> list[str]:
    """Publish that these accounts are open, each in its own transaction. Returns the message
    ids."""
    message_ids = []
    for organization_id in organization_ids:
        with database.transaction() as session:
            message_ids.append(outbox.publish(session, opened(organization_id)))
    return message_ids


def rows(database: Database, kind: Any) -> list[Any]:
    """Every row of a table."""
    with database.reading() as session:
        return list(session.scalars(select(kind)))
