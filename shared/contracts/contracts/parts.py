"""Parts that several messages carry."""

from dataclasses import dataclass
from typing import Any, ClassVar

from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """One reason why an account can't be closed: a bucket that is not empty, with its amount as a
    decimal string."""

    code: str
    amount: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(Message):
    """A row was written to a service's audit: who did what to whom, and what changed."""

    organization_id: str
    provider_id: str
    entry_id: str
    at: str
    action: str
    outcome: str
    actor: dict[str, Any]
    target: dict[str, Any]
    changes: list[dict[str, Any]]
    reason: str | None = None
    request_id: str | None = None
    hash: str

    TYPE: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(Message):
    """A service works by this version of the provider's settings from now on."""

    provider_id: str
    version: int

    AGGREGATE: ClassVar[str] = "provider_id"
