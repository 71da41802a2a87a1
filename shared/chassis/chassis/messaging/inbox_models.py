"""The tables of the inbox."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.db.columns import Base, BigInt, Id, Instant


class InboxRow(Base):
    """A message that was applied, kept for 14 days. ``digest``: SHA-256 of its bytes."""

    __tablename__ = "inbox"
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    consumed_at: Mapped[datetime] = mapped_column("heard_at", Instant, index=True)


class StreamPosition(Base):
    """The version up to which an aggregate's stream of one source was applied. It detects stale
    messages even after their inbox rows were deleted."""

    __tablename__ = "stream_positions"
    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    aggregate: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInt)


class Redelivery(Base):
    """How often a message was redelivered, because a process or its connection died with it."""

    __tablename__ = "redeliveries"
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    times: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class WaitingMessage(Base):
    """A message whose listener failed, until its retry is due, or one behind it in the same
    stream."""

    __tablename__ = "waiting_messages"
    __table_args__ = (Index("ix_waiting_messages_stream", "source", "aggregate", "version"),)
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    source: Mapped[str] = mapped_column(String(32))
    aggregate: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(BigInt)
    type: Mapped[str] = mapped_column(String(128))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime] = mapped_column(Instant, index=True)
    error: Mapped[str] = mapped_column(String(2000))


class DeadLetter(Base):
    """A message that cannot be applied, and why. ``body`` is cut to the maximum size; ``size`` is
    that of the whole. ``published_by``: the user who published it, as the broker authenticated it;
    None in rows from before it was recorded."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index(
            "ix_dead_letters_published_by",
            "published_by",
            postgresql_where=text("redriven_at IS NULL"),
            sqlite_where=text("redriven_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    reason: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(String(2000))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int] = mapped_column(BigInt)
    published_by: Mapped[str | None] = mapped_column(String(255))
    attempts: Mapped[int] = mapped_column(Integer)
    failed_at: Mapped[datetime] = mapped_column("laid_aside_at", Instant)
    redriven_at: Mapped[datetime | None] = mapped_column(Instant)


class RefusedDeadLetters(Base):
    """How many messages of a producer were not stored because it has too many dead letters, and why
    the last one could not be applied. Kept for 14 days after that."""

    __tablename__ = "refused_dead_letters"
    published_by: Mapped[str] = mapped_column(String(255), primary_key=True)
    times: Mapped[int] = mapped_column(BigInt)
    reason: Mapped[str] = mapped_column(String(32))
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)
