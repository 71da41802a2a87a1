"""Publishing: a message becomes a row of the outbox in the transaction of the change that it
reports.

The relay sends it to the broker after the commit; nothing here knows the broker.
"""

import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from contracts import Message
from sqlalchemy import Index, LargeBinary, SmallInteger, String, UniqueConstraint, insert, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.db import upserts
from chassis.db.columns import Base, BigInt, Id, Instant
from chassis.db.unit_of_work import LockOrder, collector
from chassis.runtime import clock, ids

PARTITIONS = 8
MAX_SIZE = 256 * 1024
_FORMAT = JSONFormat()
# The version is known only at the end of the transaction and takes this one's place in the bytes.
_NO_VERSION = b'"sequence": "0"'


class Stream(Base):
    """The last version published about an aggregate. Taking the next one locks the row, so that
    versions follow the order of commits."""

    __tablename__ = "streams"
    aggregate: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInt)


class OutboxRow(Base):
    """A message, byte for byte as it is sent. Deleted 14 days after that. ``unsendable``: why the
    broker returned it."""

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


@dataclass
class PendingMessage:
    """A published message of a transaction that has not ended: all of it but the version."""

    attributes: dict[str, Any]
    data: dict[str, Any]
    body: bytes = b""

    def __post_init__(self) -> None:
        self._encode()

    @property
    def id(self) -> str:
        """The message's id."""
        return str(self.attributes["id"])

    @property
    def aggregate(self) -> str:
        """The id of what the message is about."""
        return str(self.attributes["subject"])

    def amend(self, **data: Any) -> None:
        """Replace fields whose values became known at the end of the transaction."""
        self.data.update(data)
        self._encode()

    def row(self, version: int) -> dict[str, Any]:
        """The message as a row of the outbox."""
        return {
            "id": self.id,
            "aggregate": self.aggregate,
            "version": version,
            "partition": zlib.crc32(self.aggregate.encode()) % PARTITIONS,
            "type": self.attributes["type"],
            "body": self.body.replace(_NO_VERSION, b'"sequence": "%d"' % version, 1),
            "occurred_at": self.attributes["time"],
        }

    def _encode(self) -> None:
        self.body = _FORMAT.write(CloudEvent(self.attributes, self.data))
        if len(self.body) > MAX_SIZE:
            raise ValueError(f"{self.attributes['type']} is larger than {MAX_SIZE} bytes")


class _Outbox:
    lock_order = LockOrder.OUTBOX_STREAMS

    def __init__(self) -> None:
        self.messages: list[PendingMessage] = []

    def write(self, session: Session) -> None:
        messages, self.messages = self.messages, []
        if not messages:
            return
        versions = _last_versions(session, Counter(message.aggregate for message in messages))
        rows = []
        for message in messages:
            versions[message.aggregate] += 1
            rows.append(message.row(versions[message.aggregate]))
        session.connection().execute(insert(OutboxRow), rows)
        session.info["published"] = True


def publish(session: Session, message: Message) -> str:
    """Publish the message and return its id. It is written when this transaction ends and sent
    after the commit; messages about one aggregate keep their order.

    Raises marshmallow's ValidationError when a field is not as declared, ValueError when the
    message is too large."""
    return collect(session, message).id


def collect(session: Session, message: Message) -> PendingMessage:
    """Publish a message that is complete only when this transaction ends. Raises what ``publish``
    raises."""
    event_id = ids.new("evt")
    attributes: dict[str, Any] = {
        "id": event_id,
        "source": f"/{message.producer()}",
        "type": message.TYPE,
        "specversion": "1.0",
        "time": clock.now(),
        "subject": message.aggregate,
        "datacontenttype": "application/json",
        "sequence": "0",
        "correlationid": session.info.get("correlation") or event_id,
    }
    if session.info.get("causation"):
        attributes["causationid"] = session.info["causation"]
    pending = PendingMessage(attributes, message.dump())
    collector(session, _Outbox).messages.append(pending)
    return pending


def _last_versions(session: Session, counts: Counter[str]) -> dict[str, int]:
    """Take that many versions of each stream and return those before them. Locks the streams, in
    the order of their names."""
    statement = upserts.insert(session, Stream)
    statement = statement.on_conflict_do_update(
        index_elements=["aggregate"],
        set_={"version": Stream.version + statement.excluded.version},
    )
    wanted = [
        {"aggregate": aggregate, "version": count} for aggregate, count in sorted(counts.items())
    ]
    taken = session.connection().execute(
        statement.returning(Stream.aggregate, Stream.version), wanted
    )
    return {aggregate: version - counts[aggregate] for aggregate, version in taken}
