"""What membership publishes."""

from dataclasses import dataclass
from typing import ClassVar

from contracts import parts
from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class ProviderCreated(Message):
    """A provider and its first administrator were created."""

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
    """The owner, as lists show them."""

    member_id: str
    given_name: str
    family_name: str
    email: str
    verified: bool


@dataclass(frozen=True, kw_only=True)
class OwnerInvited(Message):
    """The owner was created and invited. An email that already has a login is linked to it."""

    organization_id: str
    owner: Owner

    TYPE: ClassVar[str] = "membership.owner_invited.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class MembersChanged(Message):
    """The number of members and administrators of an organization, and its owner, after a
    change."""

    organization_id: str
    members: int
    admins: int
    owner: Owner

    TYPE: ClassVar[str] = "membership.members_changed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccessState:
    """The access of an organization's members. ``state``: provisioning, open, suspended, ended,
    erased. ``owner``: None once they are erased."""

    state: str
    members: int
    admins: int
    owner: Owner | None = None


@dataclass(frozen=True, kw_only=True)
class StateReported(Message):
    """What membership stores of an organization, after everything published before. ``access``:
    None if it does not know the organization. ``settings_version``: of a provider, the version that
    membership applies."""

    organization_id: str
    check_id: str
    access: AccessState | None = None
    settings_version: int

    TYPE: ClassVar[str] = "membership.state_reported.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class ActingEnded(Message):
    """One of the provider's staff has left an organization. ``mode``: login_as | remote_support;
    ``reason``: why the access ended. The organization does not learn who it was."""

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
    """All sessions in the organization have ended and none can start."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "membership.access_ended.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccessSuspended(Message):
    """The organization is suspended: all sessions have ended and logins are refused."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "membership.access_suspended.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccessRestored(Message):
    """Members can log in again, or later if the organization returns suspended."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "membership.access_restored.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class MembersErased(Message):
    """The personal data of the organization's members was erased. Identities that belong to other
    organizations too are kept."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "membership.members_erased.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class PeopleErased(Message):
    """People who belong to no organization any more were erased: no audit log is to name them from
    now on. ``people``: the ids of their identities and memberships."""

    erasure_id: str
    people: list[str]

    TYPE: ClassVar[str] = "membership.people_erased.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing", "org")
    AGGREGATE: ClassVar[str] = "erasure_id"


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(parts.SettingsApplied):
    """Membership applies these settings."""

    TYPE: ClassVar[str] = "membership.settings_applied.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """An entry of membership's audit log."""

    TYPE: ClassVar[str] = "membership.audit_recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)
