"""What org says."""

from dataclasses import dataclass
from typing import Any, ClassVar

from contracts import parts
from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class OpenAccount(Message):
    """To billing: open the account of a new customer. ``credit_limit`` is a decimal string in
    ``currency``."""

    organization_id: str
    provider_id: str
    name: str
    country: str
    currency: str
    timezone: str
    payment_mode: str
    credit_limit: str | None = None
    billing: dict[str, Any]
    buyer_tags: dict[str, Any]

    TYPE: ClassVar[str] = "org.open_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class InviteOwner(Message):
    """To membership: make the owner of a new customer and invite them by mail."""

    organization_id: str
    provider_id: str
    name: str
    given_name: str
    family_name: str
    email: str
    managed_by: str

    TYPE: ClassVar[str] = "org.invite_owner.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class OrganizationActivated(Message):
    """A new customer has its account and its owner and is open for business."""

    organization_id: str
    provider_id: str

    TYPE: ClassVar[str] = "org.organization_activated.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class OrganizationChanged(Message):
    """What others print or show of an organization, after a change."""

    organization_id: str
    provider_id: str
    name: str
    billing: dict[str, Any]
    buyer_tags: dict[str, Any]
    managed_by: str

    TYPE: ClassVar[str] = "org.organization_changed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")


@dataclass(frozen=True, kw_only=True)
class OrganizationSuspended(Message):
    """Nobody logs in and nothing can be charged from now on; the money stays."""

    organization_id: str
    provider_id: str
    reason: str | None = None

    TYPE: ClassVar[str] = "org.organization_suspended.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")


@dataclass(frozen=True, kw_only=True)
class ReopenAccount(Message):
    """To billing: the organization comes back. ``frozen``: it comes back suspended, so charges stay
    refused."""

    organization_id: str
    conversation_id: str
    frozen: bool

    TYPE: ClassVar[str] = "org.reopen_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class RestoreAccess(Message):
    """To membership: the organization comes back. ``suspended``: it comes back suspended, so logins
    stay refused."""

    organization_id: str
    conversation_id: str
    suspended: bool

    TYPE: ClassVar[str] = "org.restore_access.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class OrganizationReactivated(Message):
    """Billing and membership have reopened; ``status`` is what the organization is now."""

    organization_id: str
    provider_id: str
    status: str

    TYPE: ClassVar[str] = "org.organization_reactivated.v1"


@dataclass(frozen=True, kw_only=True)
class CloseAccount(Message):
    """To billing: close the account if every bucket is empty, else say which is not."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.close_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class EndAccess(Message):
    """To membership: the account is closed; end every session, keep the people for a change of
    mind."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.end_access.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class SealAccount(Message):
    """To billing: the grace is over; test the buckets once more and close for good, or say what
    stands in the way."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.seal_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class EraseMembers(Message):
    """To membership: the organization is gone; erase its people's personal data."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.erase_members.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class DeletionRefused(Message):
    """A deletion was refused; the organization is what it was before."""

    organization_id: str
    provider_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "org.deletion_refused.v1"


@dataclass(frozen=True, kw_only=True)
class DeletionScheduled(Message):
    """The account is closed and nobody can enter; it is gone for good at ``purge_at`` unless
    activated before."""

    organization_id: str
    provider_id: str
    deletion_id: str
    purge_at: str

    TYPE: ClassVar[str] = "org.deletion_scheduled.v1"


@dataclass(frozen=True, kw_only=True)
class DeletionCancelled(Message):
    """Somebody changed their mind within the grace."""

    organization_id: str
    provider_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.deletion_cancelled.v1"


@dataclass(frozen=True, kw_only=True)
class OrganizationDeleted(Message):
    """The organization is gone for good; its ledger and its audit stay."""

    organization_id: str
    provider_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.organization_deleted.v1"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that was done; ``changes``: [{field, before, after}]."""

    at: str
    action: str
    target: dict[str, Any]
    changes: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SupportReceiptReady(Message):
    """What staff changed while they acted in an organization, oldest first; ``left_out``: how many
    more there are."""

    organization_id: str
    acting_id: str
    rows: list[Change]
    left_out: int

    TYPE: ClassVar[str] = "org.support_receipt_ready.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class SettingsChanged(Message):
    """A provider's settings, all of them, and their version; billing and membership answer when
    they apply them."""

    provider_id: str
    version: int
    settings: dict[str, Any]

    TYPE: ClassVar[str] = "org.settings_changed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")
    AGGREGATE: ClassVar[str] = "provider_id"


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """A row of org's audit."""

    TYPE: ClassVar[str] = "org.audit_recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)
