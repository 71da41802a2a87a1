"""What billing says. Every amount is a decimal string in the account's currency."""

from dataclasses import dataclass
from typing import ClassVar

from contracts import parts
from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class AccountOpened(Message):
    """The account of a new customer is open."""

    organization_id: str

    TYPE: ClassVar[str] = "billing.account_opened.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountClosed(Message):
    """Every bucket was empty and the account took its last entry; nothing can be posted any more."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "billing.account_closed.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountNotClosed(Message):
    """The account stays as it was: these buckets are not empty."""

    organization_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "billing.account_not_closed.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountReopened(Message):
    """The account takes entries again (or is frozen again, when the organization comes back suspended)."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "billing.account_reopened.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountSealed(Message):
    """The account was still closed and empty after the grace and can't be reopened any more."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "billing.account_sealed.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountNotSealed(Message):
    """After the grace something stood on the account: it must be settled before the organization can go."""

    organization_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "billing.account_not_sealed.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class BalanceChanged(Message):
    """The figures of an account after its latest entries; several changes may be told as one."""

    organization_id: str
    provider_id: str
    currency: str
    payment_mode: str
    status: str
    usable_credits: str
    balance: str
    credit_limit: str
    reserved_credits: str
    amount_due: str
    days_to_empty: int | None = None
    as_of: str

    TYPE: ClassVar[str] = "billing.balance_changed.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(parts.SettingsApplied):
    """Billing works by these settings."""

    TYPE: ClassVar[str] = "billing.settings_applied.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """A row of billing's audit."""

    TYPE: ClassVar[str] = "billing.audit_recorded.v1"
    HEARD_BY: ClassVar[tuple[str, ...]] = ("org",)
