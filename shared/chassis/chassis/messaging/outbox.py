"""Publishing: a message becomes a row of the outbox in the transaction of the change that it
reports.

The relay sends it to the broker after the commit; nothing here knows the broker.
"""

import json
import zlib
from collections import Counter
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts import Message
from sqlalchemy import Index, LargeBinary, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.db import direct, upserts
from chassis.db.bulk_sql import array, insert_rows
from chassis.db.columns import Base, BigInt, Id, Instant
from chassis.db.direct import Statement
from chassis.db.unit_of_work import LockOrder, collector
from chassis.db.upserts import is_postgresql
from chassis.runtime import clock, ids

PARTITIONS = 8
MAX_SIZE = 256 * 1024
# The version is known only at the end of the transaction and takes this one's place in the bytes.
_NO_VERSION = b'"sequence": "0"'
_MAX_PENDING = MAX_SIZE - 18  # a version has up to 19 digits


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


_OUTBOX: Any = OutboxRow.__table__
_COLUMNS = ("id", "aggregate", "version", "partition", "type", "body", "occurred_at")


@dataclass(slots=True)
class PendingMessage:
    """A published message of a transaction that has not ended: all of it but the version.

    ``attributes``: those of the event, as they are sent. The data is kept as bytes only, so that
    what its values are changed to after they were published is not sent."""

    uuid: UUID
    occurred_at: datetime
    attributes: dict[str, str]
    data: InitVar[dict[str, Any]]
    body: bytes = field(init=False)

    def __post_init__(self, data: dict[str, Any]) -> None:
        self._encode(data)

    @property
    def id(self) -> str:
        """The message's id."""
        return self.attributes["id"]

    @property
    def aggregate(self) -> str:
        """The id of what the message is about."""
        return self.attributes["subject"]

    def amend(self, **data: Any) -> None:
        """Replace fields whose values became known at the end of the transaction. Raises
        ValueError as ``publish`` does."""
        self._encode({**json.loads(self.body)["data"], **data})

    def fill(self, name: str, placeholder: str, value: str) -> None:
        """Replace the last field of this name that is set to a placeholder of digits, by as many
        other digits. Many times faster than ``amend``. Raises ValueError if there is none."""
        start, replaced, end = self.body.rpartition(f'"{name}": "{placeholder}"'.encode())
        if not replaced or len(value) != len(placeholder):
            raise ValueError(f"{self.attributes['type']} has no placeholder for this {name}")
        self.body = b'%s"%s": "%s"%s' % (start, name.encode(), value.encode(), end)

    def row(self, version: int) -> tuple[Any, ...]:
        """The message as a row of the outbox, with the columns ``_COLUMNS``."""
        return (
            self.uuid,
            self.aggregate,
            version,
            zlib.crc32(self.aggregate.encode()) % PARTITIONS,
            self.attributes["type"],
            self.body.replace(_NO_VERSION, b'"sequence": "%d"' % version, 1),
            self.occurred_at,
        )

    def _encode(self, data: dict[str, Any]) -> None:
        # Made here and not by the library of CloudEvents, which takes three times as long.
        try:
            body = json.dumps({**self.attributes, "data": data}, allow_nan=False).encode()
        except (TypeError, ValueError) as problem:
            raise ValueError(f"{self.attributes['type']} is not JSON: {problem}") from problem
        if len(body) > _MAX_PENDING:
            raise ValueError(f"{self.attributes['type']} is larger than {MAX_SIZE} bytes")
        self.body = body


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
        insert_rows(session, _OUTBOX, _COLUMNS, rows)
        session.info["published"] = True


def publish(session: Session, message: Message) -> str:
    """Publish the message and return its id. It is written when this transaction ends and sent
    after the commit; messages about one aggregate keep their order.

    Raises marshmallow's ValidationError when a field is not as declared, ValueError when the
    message is too large or a value is not JSON."""
    return collect(session, message).id


def collect(session: Session, message: Message) -> PendingMessage:
    """Publish a message that is complete only when this transaction ends. Raises what ``publish``
    raises."""
    uuid, now = ids.new_uuid(), clock.now()
    event_id = ids.of_uuid("evt", uuid)
    attributes = {
        "id": event_id,
        "source": f"/{message.producer()}",
        "type": message.TYPE,
        "specversion": "1.0",
        "time": clock.stamp(now),
        "subject": message.aggregate,
        "datacontenttype": "application/json",
        "sequence": "0",
        "correlationid": session.info.get("correlation") or event_id,
    }
    if session.info.get("causation"):
        attributes["causationid"] = session.info["causation"]
    pending = PendingMessage(uuid, now, attributes, message.dump())
    collector(session, _Outbox).messages.append(pending)
    return pending


_TAKE_VERSIONS = Statement(
    text(
        """
        INSERT INTO streams (aggregate, version)
        SELECT * FROM unnest(CAST(:aggregates AS text[]), CAST(:counts AS bigint[]))
        ON CONFLICT (aggregate) DO UPDATE SET version = streams.version + excluded.version
        RETURNING aggregate, version
        """
    ).columns(Stream.aggregate, Stream.version)
)


def _last_versions(session: Session, counts: Counter[str]) -> dict[str, int]:
    """Take that many versions of each stream and return those before them. Locks the streams, in
    the order of their names."""
    aggregates = sorted(counts)
    if is_postgresql(session):
        numbers = array([counts[aggregate] for aggregate in aggregates])
        parameters = {"aggregates": array(aggregates), "counts": numbers}
        taken: Any = direct.rows(session, _TAKE_VERSIONS, parameters)
    else:
        statement = upserts.insert(session, Stream)
        statement = statement.on_conflict_do_update(
            index_elements=["aggregate"],
            set_={"version": Stream.version + statement.excluded.version},
        )
        taken = session.connection().execute(
            statement.returning(Stream.aggregate, Stream.version),
            [{"aggregate": each, "version": counts[each]} for each in aggregates],
        )
    return {aggregate: version - counts[aggregate] for aggregate, version in taken}
