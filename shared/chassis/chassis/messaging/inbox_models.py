"""The tables of the inbox."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from chassis.db.columns import Base, BigInt, Id, Instant


class InboxRow(Base):
    """A message that had its effect; kept 14 days. ``digest``: SHA-256 of the message as
    received."""

    __tablename__ = "inbox"
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    heard_at: Mapped[datetime] = mapped_column(Instant, index=True)


class StreamPosition(Base):
    """How far an aggregate's stream of one source has been applied (second net, outlives the
    inbox)."""

    __tablename__ = "stream_positions"
    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    aggregate: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInt)


class Redelivery(Base):
    """How often a message came again: a process died under it, or its connection did."""

    __tablename__ = "redeliveries"
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    times: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class WaitingMessage(Base):
    """A message whose listener failed, until it is due again, and those of the same aggregate
    behind it."""

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
    """A message laid aside with its reason, until it is redriven. ``size`` tells whether ``body``
    is whole."""

    __tablename__ = "dead_letters"
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    reason: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(String(2000))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int] = mapped_column(BigInt)
    attempts: Mapped[int] = mapped_column(Integer)
    laid_aside_at: Mapped[datetime] = mapped_column(Instant)
    redriven_at: Mapped[datetime | None] = mapped_column(Instant)
