"""Organizations, what may be done to them in each status, and what is declared of each field."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from chassis.errors import Conflict, Gone
from sqlalchemy import Boolean, Date, Index, Integer, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from org import values
from org.models.fields import Field, column, declared_fields
from org.models.table import Base


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
_BILLING: dict[str, Any] = {
    "part_of": "billing",
    "patchable": True,
    "published": True,
    "personal": True,
    "operation": {"email": "organization.billing_email"},
}
_MANAGEMENT = {"provider": "organization.hand_back", "customer": "organization.hand_over"}


def billing_of(organization: Any) -> dict[str, str | None]:
    """Who is billed, from an organization or a row with its columns; the billing name follows the
    organization's until it is set by hand."""
    return {
        "name": organization.billing_name or organization.name,
        "email": organization.billing_email,
        "address": organization.billing_address,
        "city": organization.billing_city,
    }


class Organization(Base):
    """A provider or one of its customers.

    Columns declared by ``column`` are fields of the API; the others are internal. The last block is
    the projection kept by listening: amounts as billing publishes them, ``usable_units`` and
    ``limit_units`` in units of 10⁻⁶ for sorting and comparing, ``days_to_empty`` NEVER_EMPTY when
    nothing is being spent. ``failed_top_up_units``: the usable credits at which an automatic top-up
    failed; None once they have risen or none is needed any more.
    ``mfa_required`` of a provider is what its settings say.
    """

    __tablename__ = "organizations"
    __table_args__ = (
        # SQLite has no trigram index. There the searched text is part of the index by name, so that
        # a search need not read the rows; PostgreSQL limits the size of an index entry, so it gets
        # the index without that text. Each engine leaves the other's index empty.
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
        Index("ix_organizations_usable", "provider_id", "currency", "usable_units", "id"),
        Index("ix_organizations_days_to_empty", "provider_id", "days_to_empty", "id"),
        Index(
            "ix_organizations_search",
            "search",
            postgresql_using="gin",
            postgresql_ops={"search": "gin_trgm_ops"},
        ),
    )
    id: Mapped[str] = column(Id("org"), primary_key=True)
    kind: Mapped[str] = column(String(8))
    provider_id: Mapped[str] = column(Id("org"))
    name: Mapped[str] = column(String(255), patchable=True, published=True)
    sort_name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = column(String(24))
    country: Mapped[str] = column(String(2), fixed=True)
    currency: Mapped[str] = column(String(3), fixed=True)
    timezone: Mapped[str] = column(String(64), fixed=True)
    pricing_model: Mapped[str] = column(String(8), fixed=True)
    payment_mode: Mapped[str] = column(String(8))
    credit_limit: Mapped[str | None] = mapped_column(String(24))
    billing_name: Mapped[str | None] = column(String(255), **_BILLING)
    billing_email: Mapped[str | None] = column(String(254), **_BILLING)
    billing_address: Mapped[str | None] = column(String(500), **_BILLING)
    billing_city: Mapped[str | None] = column(String(255), **_BILLING)
    owner: Mapped[dict[str, Any]] = column(Json, personal=True)
    buyer_tags: Mapped[dict[str, str]] = column(
        Json, patchable=True, published=True, personal=True, operation="organization.change_tags"
    )
    demo: Mapped[bool] = column(Boolean, patchable=True, operation="organization.change_tags")
    managed_by: Mapped[str] = column(
        String(8), patchable=True, published=True, operation=_MANAGEMENT
    )
    mfa_required: Mapped[bool] = column(
        Boolean,
        server_default=false(),
        patchable=True,
        at_creation=False,
        published=True,
        operation="organization.require_codes",
    )
    purge_at: Mapped[datetime | None] = column(Instant)
    created_at: Mapped[datetime] = column(Instant)
    updated_at: Mapped[datetime] = column(Instant)
    search: Mapped[str] = mapped_column(String(1500))

    usable_credits: Mapped[str] = mapped_column(String(24), default="0")
    usable_units: Mapped[int] = mapped_column(BigInt, default=0)
    balance: Mapped[str] = mapped_column(String(24), default="0")
    limit_now: Mapped[str] = mapped_column(String(24), default="0")
    limit_units: Mapped[int] = mapped_column(BigInt, default=0, server_default="0")
    amount_due: Mapped[str] = mapped_column(String(24), default="0")
    overdue_amount: Mapped[str | None] = mapped_column(String(24))
    oldest_due_on: Mapped[date | None] = mapped_column(Date)
    failed_top_up_units: Mapped[int | None] = mapped_column(BigInt)
    days_to_empty: Mapped[int] = mapped_column(Integer, default=values.NEVER_EMPTY)
    members: Mapped[int] = mapped_column(Integer, default=0)
    admins: Mapped[int] = mapped_column(Integer, default=0)
    as_of: Mapped[datetime | None] = mapped_column(Instant)

    def transition(self, action: str) -> str:
        """What the state table gives for this action in the current status: yes, same,
        restore, start or existing. Raises the status's refusal."""
        if self.kind == "provider" and action != "edit":
            raise ProviderRoot()
        transition = values.STATES[self.status][action]
        if transition in ("409", "410"):
            raise _REFUSALS[self.status]()
        return transition

    @property
    def billing(self) -> dict[str, str | None]:
        """Who is billed."""
        return billing_of(self)

    def patchable(self) -> dict[str, Any]:
        """The patchable fields as they are now; the ETag is computed over them."""
        return {name: getattr(self, name) for name in PATCHABLE}

    def set_fields(self, changes: Mapping[str, Any]) -> None:
        """Merge checked values into patchable fields: a part that is not named stays as it is."""
        for name, value in changes.items():
            if name == "billing":
                for part, text_ in value.items():
                    setattr(self, f"billing_{part}", text_)
            elif name == "buyer_tags":
                tags = {**self.buyer_tags, **value}
                self.buyer_tags = {key: tag for key, tag in tags.items() if tag is not None}
            else:
                setattr(self, name, value)
        self.index_for_search()

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

    def erase(self) -> None:
        """Leave a tombstone: empty every field that is declared personal."""
        for field in FIELDS.values():
            if field.personal:
                for part in field.columns:
                    setattr(self, part.key, None if part.nullable else {})
        self.index_for_search()


FIELDS: dict[str, Field] = declared_fields(Organization.__table__.columns)
PATCHABLE = tuple(field.name for field in FIELDS.values() if field.patchable)
