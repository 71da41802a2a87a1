"""The tables of the audit log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.db.columns import Base, BigInt, Id, Instant, Json
from chassis.names import REMOVED_PERSON

BEGINNING = "0" * 64


@dataclass(frozen=True)
class Naming:
    """Where a row has the id and the name of a person, in SQL."""

    part: str
    id: str
    name: str

    @property
    def still(self) -> str:
        """Whether the name is still there."""
        return f"{self.name} <> '{REMOVED_PERSON}'"


NAMINGS = (
    Naming("actor", "(actor ->> 'id')", "(actor ->> 'label')"),
    Naming("acting", "((actor -> 'acting') ->> 'sub')", "((actor -> 'acting') ->> 'name')"),
    Naming("target", "(target ->> 'id')", "(target ->> 'label')"),
)


def person_indexes(table: str) -> tuple[Index, ...]:
    """The indexes of a table with the columns of an audit row by which the rows that still name a
    person are found."""
    return tuple(
        Index(
            f"ix_{table}_named_{naming.part}",
            text(naming.id),
            postgresql_where=text(naming.still),
            sqlite_where=text(naming.still),
        )
        for naming in NAMINGS
    )


class AuditEntry(Base):
    """One thing somebody did or was denied. ``hash`` covers the row and the hash of the row before
    it.

    ``digests``: of actor, target, changes and reason under ``salt``; the oldest rows have none.
    ``erased``: these parts are what ``without_names`` leaves, and the salt is gone. It is also gone
    once a person who was erased is no longer named in the row."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        UniqueConstraint("organization_id", "number"),
        Index("ix_audit_entries_organization_at", "organization_id", "at"),
        *person_indexes("audit_entries"),
    )
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    number: Mapped[int] = mapped_column(BigInt)
    at: Mapped[datetime] = mapped_column(Instant)
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    actor: Mapped[dict[str, Any]] = mapped_column(Json)
    target: Mapped[dict[str, Any]] = mapped_column(Json)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(String(500))
    request_id: Mapped[str | None] = mapped_column(String(128))
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    digests: Mapped[dict[str, str] | None] = mapped_column(Json)
    salt: Mapped[str | None] = mapped_column(String(32))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class AuditHead(Base):
    """The end of an organization's chain; locking it puts the rows in order. ``erased``: the chain
    names nobody, and never will."""

    __tablename__ = "audit_heads"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInt)
    hash: Mapped[str] = mapped_column(String(64))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class ErasedPerson(Base):
    """A person whose name is taken out of audit rows, by one of the ids that rows have of them.
    ``watched``: rows that name them are still looked for."""

    __tablename__ = "audit_erased_people"
    __table_args__ = (
        Index(
            "ix_audit_erased_people_watched",
            "erased_at",
            postgresql_where=text("watched"),
            sqlite_where=text("watched"),
        ),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Instant)
    watched: Mapped[bool] = mapped_column(Boolean)
