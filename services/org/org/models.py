"""What org owns, and the rules each thing keeps by itself."""

from datetime import datetime, timedelta
from typing import Any

from chassis.db import columns
from chassis.db.columns import BigInt, Id, Instant, Json
from chassis.errors import Conflict, Gone
from sqlalchemy import Boolean, Index, Integer, String, false, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from org import values


class Base(DeclarativeBase):
    """Org's tables."""

    metadata = columns.metadata()


class OrganizationProvisioning(Conflict):
    code = "organization_provisioning"
    detail = "The organization is still being set up. Try again in a moment."


class OrganizationClosing(Conflict):
    code = "organization_closing"
    detail = "The organization's deletion has been requested. Wait for the outcome."


class SuspendedForDeletion(Conflict):
    code = "suspended_for_deletion"
    detail = "The organization is suspended for deletion. Activate it first."


class OrganizationDeleted(Gone):
    code = "organization_deleted"
    detail = "The organization has been permanently deleted."


class GraceOver(Gone):
    code = "grace_over"
    detail = "The grace period is over. The organization is being deleted."


class ReactivationInProgress(Conflict):
    code = "reactivation_in_progress"
    detail = "The organization is being activated. Try again in a moment."


class ProviderRoot(Conflict):
    code = "provider_root"
    detail = "This is the provider's own organization. It cannot be suspended or deleted."


_REFUSALS = {
    values.PROVISIONING: OrganizationProvisioning,
    values.CLOSING: OrganizationClosing,
    values.SUSPENDED_FOR_DELETION: SuspendedForDeletion,
    values.DELETED: OrganizationDeleted,
}


class Organization(Base):
    """A provider or one of its customers. The last block is the projection kept by listening:
    amounts as billing said them, ``usable_units`` in 10⁻⁶ for sorting, ``days_to_empty``
    NEVER_EMPTY when nothing is burnt."""

    __tablename__ = "organizations"
    __table_args__ = (
        # By name: on SQLite, which has no trigrams, what is searched stands in the index, so that a
        # search need not read all rows; a row of PostgreSQL's would be too long for that. Each
        # engine fills its own of the two.
        Index("ix_organizations_name", "provider_id", "sort_name", "id", sqlite_where=text("0")),
        Index(
            "ix_organizations_found",
            "provider_id",
            "sort_name",
            "id",
            "search",
            postgresql_where=text("false"),
        ),
        Index("ix_organizations_created_at", "provider_id", "created_at", "id"),
        Index("ix_organizations_usable", "provider_id", "usable_units", "id"),
        Index("ix_organizations_days_to_empty", "provider_id", "days_to_empty", "id"),
        Index(
            "ix_organizations_search",
            "search",
            postgresql_using="gin",
            postgresql_ops={"search": "gin_trgm_ops"},
        ),
    )
    id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    provider_id: Mapped[str] = mapped_column(Id("org"))
    name: Mapped[str] = mapped_column(String(255))
    sort_name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(24))
    country: Mapped[str] = mapped_column(String(2))
    currency: Mapped[str] = mapped_column(String(3))
    timezone: Mapped[str] = mapped_column(String(64))
    pricing_model: Mapped[str] = mapped_column(String(8))
    payment_mode: Mapped[str] = mapped_column(String(8))
    credit_limit: Mapped[str | None] = mapped_column(String(24))
    billing_name: Mapped[str | None] = mapped_column(String(255))
    billing_email: Mapped[str | None] = mapped_column(String(254))
    billing_address: Mapped[str | None] = mapped_column(String(500))
    billing_city: Mapped[str | None] = mapped_column(String(255))
    owner: Mapped[dict[str, Any]] = mapped_column(Json)
    buyer_tags: Mapped[dict[str, str]] = mapped_column(Json)
    demo: Mapped[bool] = mapped_column(Boolean)
    managed_by: Mapped[str] = mapped_column(String(8))
    purge_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    search: Mapped[str] = mapped_column(String(1500))

    usable_credits: Mapped[str] = mapped_column(String(24), default="0")
    usable_units: Mapped[int] = mapped_column(BigInt, default=0)
    balance: Mapped[str] = mapped_column(String(24), default="0")
    limit_now: Mapped[str] = mapped_column(String(24), default="0")
    amount_due: Mapped[str] = mapped_column(String(24), default="0")
    days_to_empty: Mapped[int] = mapped_column(Integer, default=values.NEVER_EMPTY)
    members: Mapped[int] = mapped_column(Integer, default=0)
    admins: Mapped[int] = mapped_column(Integer, default=0)
    as_of: Mapped[datetime | None] = mapped_column(Instant)

    def verdict(self, action: str) -> str:
        """What the state table says of this action now: yes, same, back, asks or deletion. Raises
        the refusal."""
        if self.kind == "provider" and action != "edit":
            raise ProviderRoot()
        verdict = values.STATES[self.status][action]
        if verdict in ("409", "410"):
            raise _REFUSALS[self.status]()
        return verdict

    def index_for_search(self) -> None:
        """Refresh what the list searches and sorts by."""
        self.sort_name = self.name.casefold()[:255]
        parts = (
            self.name,
            self.id,
            self.owner.get("email"),
            self.billing_email,
            self.buyer_tags.get("CustomerRef"),
        )
        self.search = "\n".join(part for part in parts if part).casefold()[:1500]

    @property
    def billing(self) -> dict[str, str | None]:
        """Who is billed; the billing name follows the organization's until it is set by hand."""
        return {
            "name": self.billing_name or self.name,
            "email": self.billing_email,
            "address": self.billing_address,
            "city": self.billing_city,
        }

    def erase(self) -> None:
        """Leave a tombstone: no personal data."""
        self.owner = {}
        self.billing_name = self.billing_email = self.billing_address = self.billing_city = None
        self.buyer_tags = {}
        self.index_for_search()


class Deletion(Base):
    """A wish to delete an organization and what became of it. ``due_at``: when the clock looks at
    it next."""

    __tablename__ = "deletions"
    __table_args__ = (
        Index("ix_deletions_organization", "organization_id", "requested_at"),
        Index(
            "ix_deletions_due",
            "due_at",
            postgresql_where=text("status = 'scheduled'"),
            sqlite_where=text("status = 'scheduled'"),
        ),
    )
    id: Mapped[str] = mapped_column(Id("del"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    status: Mapped[str] = mapped_column(String(16))
    status_before: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str | None] = mapped_column(String(500))
    requested_by: Mapped[dict[str, Any]] = mapped_column(Json)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    purge_at: Mapped[datetime | None] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    blockers: Mapped[list[dict[str, Any]]] = mapped_column(Json)

    def schedule(self, now: datetime, grace: timedelta) -> None:
        """Everything is closed: gone at ``now`` + ``grace``."""
        self.status, self.confirmed_at, self.blockers = "scheduled", now, []
        self.purge_at = self.due_at = now + grace

    def cancel(self, now: datetime) -> None:
        """Somebody changed their mind. Raises GraceOver from ``purge_at`` on."""
        if self.status != "scheduled" or self.purge_at is None or now >= self.purge_at:
            raise GraceOver()
        self.status = "cancelled"


class Conversation(Base):
    """A long conversation with the other services: what it is about and whose answer it waits
    for."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "ix_conversations_open",
            "organization_id",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_conversations_due",
            "ask_again_at",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(Id("cnv"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    deletion_id: Mapped[str | None] = mapped_column(Id("del"))
    kind: Mapped[str] = mapped_column(String(16))
    waiting_for: Mapped[str] = mapped_column(String(16))
    back_to: Mapped[str | None] = mapped_column(String(24))
    begun_at: Mapped[datetime] = mapped_column(Instant)
    times_asked: Mapped[int] = mapped_column(Integer)
    ask_again_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class Revocation(Base):
    """Tokens of an organization are void: all of them while it is ``closed``, those from before
    once ``open``."""

    __tablename__ = "revocations"
    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    state: Mapped[str] = mapped_column(String(8))
    at: Mapped[datetime] = mapped_column(Instant, index=True)


class ProviderSettings(Base):
    """A provider's settings; ``applied``: service -> the version it works by."""

    __tablename__ = "provider_settings"
    provider_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    chosen: Mapped[dict[str, Any]] = mapped_column(Json)
    applied: Mapped[dict[str, int]] = mapped_column(Json)


class TrailEntry(Base):
    """A row of some service's audit, as it was said, or ``erased``: the merged view and the
    timeline. ``actor_id``: who really acted, of those who act for somebody else too."""

    __tablename__ = "trail"
    __table_args__ = (
        Index("ix_trail_organization", "organization_id", "at", "id"),
        *(
            Index(f"ix_trail_{name}", "organization_id", name, "at", "id")
            for name in ("action", "outcome", "actor_id", "actor_kind", "target_id")
        ),
    )
    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    service: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(Instant)
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    actor: Mapped[dict[str, Any]] = mapped_column(Json)
    target: Mapped[dict[str, Any]] = mapped_column(Json)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(String(500))
    request_id: Mapped[str | None] = mapped_column(String(128))
    hash: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str] = mapped_column(Id("evt"))
    actor_id: Mapped[str | None] = mapped_column(String(128))
    actor_kind: Mapped[str | None] = mapped_column(String(16))
    target_id: Mapped[str | None] = mapped_column(String(128))
    erased: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class Receipt(Base):
    """What staff did inside an organization is to be told, once the audit of it had the time to
    arrive."""

    __tablename__ = "receipts"
    acting_id: Mapped[str] = mapped_column(Id("ses"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"))
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant, index=True)
