"""What membership says."""

from dataclasses import dataclass
from typing import ClassVar

from contracts import parts
from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class ProviderCreated(Message):
    """A provider organization and its first administrator exist."""

    organization_id: str
    name: str
    country: str
    currency: str
    timezone: str
    owner: "Owner"

    TYPE: ClassVar[str] = "membership.provider_created.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "org")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The owner as lists show them."""

    member_id: str
    given_name: str
    family_name: str
    email: str
    verified: bool


@dataclass(frozen=True, kw_only=True)
class OwnerInvited(Message):
    """The owner exists and the invitation is on its way; an address already known is linked, not
    doubled."""

    organization_id: str
    owner: Owner

    TYPE: ClassVar[str] = "membership.owner_invited.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class MembersChanged(Message):
    """How many people an organization has, and who owns it, after a change."""

    organization_id: str
    members: int
    admins: int
    owner: Owner

    TYPE: ClassVar[str] = "membership.members_changed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class ActingEnded(Message):
    """Somebody of the provider's staff has left an organization; ``reason`` says why, ``mode`` is
    login_as or remote_support. Who it was is nobody's business there."""

    organization_id: str
    acting_id: str
    mode: str
    started_at: str
    ended_at: str
    reason: str

    TYPE: ClassVar[str] = "membership.acting_ended.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccessEnded(Message):
    """Every session in the organization is ended and none can begin."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "membership.access_ended.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccessRestored(Message):
    """People may log in again (or not yet, when the organization comes back suspended)."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "membership.access_restored.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class MembersErased(Message):
    """The personal data of the organization's people is erased; identities that belong elsewhere
    too live on."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "membership.members_erased.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(parts.SettingsApplied):
    """Membership works by these settings."""

    TYPE: ClassVar[str] = "membership.settings_applied.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """A row of membership's audit."""

    TYPE: ClassVar[str] = "membership.audit_recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)
