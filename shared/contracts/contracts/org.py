"""What org publishes: commands to billing and membership, and events."""

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
    """To membership: create the owner of a new customer and invite them by email."""

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
    """A new customer has an account and an owner and is active."""

    organization_id: str
    provider_id: str

    TYPE: ClassVar[str] = "org.organization_activated.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class OrganizationChanged(Message):
    """What other services show of an organization, after a change. ``mfa_required``: whether its
    people need one-time codes; unknown to producers from before it existed."""

    organization_id: str
    provider_id: str
    name: str
    billing: dict[str, Any]
    buyer_tags: dict[str, Any]
    managed_by: str
    mfa_required: bool | None = None

    TYPE: ClassVar[str] = "org.organization_changed.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")


@dataclass(frozen=True, kw_only=True)
class OrganizationSuspended(Message):
    """Members cannot log in and nothing can be charged from now on. The balance stays."""

    organization_id: str
    provider_id: str
    reason: str | None = None

    TYPE: ClassVar[str] = "org.organization_suspended.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")


@dataclass(frozen=True, kw_only=True)
class FreezeAccount(Message):
    """To billing: the organization is suspended. Sent again until billing replies; as a rule
    ``OrganizationSuspended`` has frozen the account before."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "org.freeze_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class SuspendAccess(Message):
    """To membership: the organization is suspended. Sent again until membership replies; as a rule
    ``OrganizationSuspended`` has ended the sessions before."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "org.suspend_access.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class ReopenAccount(Message):
    """To billing: the organization returns. ``frozen``: it returns suspended, so charges are still
    refused."""

    organization_id: str
    conversation_id: str
    frozen: bool

    TYPE: ClassVar[str] = "org.reopen_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class RestoreAccess(Message):
    """To membership: the organization returns. ``suspended``: it returns suspended, so logins are
    still refused."""

    organization_id: str
    conversation_id: str
    suspended: bool

    TYPE: ClassVar[str] = "org.restore_access.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class OrganizationReactivated(Message):
    """Billing and membership have reopened. ``status``: the organization's status now."""

    organization_id: str
    provider_id: str
    status: str

    TYPE: ClassVar[str] = "org.organization_reactivated.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class CloseAccount(Message):
    """To billing: close the account if every bucket is empty, else reply with those that are
    not."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.close_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class EndAccess(Message):
    """To membership: the account is closed. End every session and keep the members, as the deletion
    may still be canceled."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.end_access.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class SealAccount(Message):
    """To billing: the grace period is over. Check the buckets again and close the account
    permanently, or reply with those that are not empty."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.seal_account.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)


@dataclass(frozen=True, kw_only=True)
class EraseMembers(Message):
    """To membership: the organization was deleted. Erase the personal data of its members."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.erase_members.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class DeletionRefused(Message):
    """A deletion was refused; the organization returns to its previous status."""

    organization_id: str
    provider_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "org.deletion_refused.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class DeletionScheduled(Message):
    """The account is closed and members cannot log in. The organization is deleted at ``purge_at``
    unless it is activated before."""

    organization_id: str
    provider_id: str
    deletion_id: str
    purge_at: str

    TYPE: ClassVar[str] = "org.deletion_scheduled.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class DeletionCancelled(Message):
    """A deletion was canceled within the grace period."""

    organization_id: str
    provider_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.deletion_cancelled.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class OrganizationDeleted(Message):
    """The organization was deleted permanently; its ledger and its audit log stay."""

    organization_id: str
    provider_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "org.organization_deleted.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Change:
    """One recorded action. ``changes``: [{field, before, after}]."""

    at: str
    action: str
    target: dict[str, Any]
    changes: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SupportReceiptReady(Message):
    """What the provider's staff changed while they acted in an organization, oldest first.
    ``left_out``: the number of further changes."""

    organization_id: str
    acting_id: str
    rows: list[Change]
    left_out: int

    TYPE: ClassVar[str] = "org.support_receipt_ready.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class SettingsChanged(Message):
    """All settings of a provider and their version. Billing and membership reply when they apply
    them."""

    provider_id: str
    version: int
    settings: dict[str, Any]

    TYPE: ClassVar[str] = "org.settings_changed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")
    AGGREGATE: ClassVar[str] = "provider_id"


@dataclass(frozen=True, kw_only=True)
class ReportState(Message):
    """To billing and membership: publish what you store of this organization, for comparison with
    what org stores, and if ``figures``, then publish its figures again."""

    organization_id: str
    check_id: str
    figures: bool

    TYPE: ClassVar[str] = "org.report_state.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "membership")


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """An entry of org's audit log."""

    TYPE: ClassVar[str] = "org.audit_recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)
