"""Saying things: one row in the transaction of what happened. Knows no broker; only the relay
publishes."""

import zlib
from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from contracts import Message
from sqlalchemy import Index, LargeBinary, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.db.columns import Base, BigInt, Id, Instant
from chassis.runtime import clock, ids

PARTITIONS = 8
LARGEST = 256 * 1024
_FORMAT = JSONFormat()


class Stream(Base):
    """The last version said of an aggregate. Taking the next one locks the row, so versions follow
    commit order."""

    __tablename__ = "streams"
    aggregate: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInt)


class OutboxRow(Base):
    """A message as it will be published, byte for byte, until it is cleaned up 14 days after it
    was."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("aggregate", "version"),
        Index(
            "ix_outbox_unsent",
            "partition",
            "seq",
            postgresql_where=text("published_at IS NULL"),
            sqlite_where=text("published_at IS NULL"),
        ),
        Index("ix_outbox_published_at", "published_at"),
    )
    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(Id("evt"), unique=True)
    aggregate: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(BigInt)
    partition: Mapped[int] = mapped_column(SmallInteger)
    type: Mapped[str] = mapped_column(String(128))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    published_at: Mapped[datetime | None] = mapped_column(Instant)
    unsendable: Mapped[str | None] = mapped_column(String(255))


def publish(session: Session, message: Message) -> str:
    """Write the message to the outbox and answer its id. It is published once this transaction has
    committed.

    Raises marshmallow's ValidationError when a field is not as declared, ValueError when it is too
    large."""
    now, event_id = clock.now(), ids.new("evt")
    version = _next_version(session, message.aggregate)
    attributes: dict[str, Any] = {
        "id": event_id,
        "source": f"/{message.producer()}",
        "type": message.TYPE,
        "specversion": "1.0",
        "time": now,
        "subject": message.aggregate,
        "datacontenttype": "application/json",
        "sequence": str(version),
        "correlationid": session.info.get("correlation") or event_id,
    }
    if session.info.get("causation"):
        attributes["causationid"] = session.info["causation"]
    body = _FORMAT.write(CloudEvent(attributes, message.dump()))
    if len(body) > LARGEST:
        raise ValueError(f"{message.TYPE} is larger than {LARGEST} bytes")
    session.add(
        OutboxRow(
            id=event_id,
            aggregate=message.aggregate,
            version=version,
            type=message.TYPE,
            body=body,
            occurred_at=now,
            partition=zlib.crc32(message.aggregate.encode()) % PARTITIONS,
        )
    )
    session.info["published"] = True
    return event_id


def _next_version(session: Session, aggregate: str) -> int:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        insert(Stream)
        .values(aggregate=aggregate, version=1)
        .on_conflict_do_update(index_elements=["aggregate"], set_={"version": Stream.version + 1})
        .returning(Stream.version)
    )
    return int(session.execute(statement).scalar_one())
