"""Parts shared by several messages."""

from dataclasses import dataclass
from typing import Any, ClassVar

from contracts.message import Message

# Fields in the changes of an audit entry whose values tell nothing personal of whom it is about.
# Those of all other fields are taken out when the person is erased.
IMPERSONAL_FIELDS = frozenset(
    {"admitted_by", "failures", "owner", "portal_access", "preset", "role", "status"}
)


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """A bucket that is not empty and keeps an account from closing. ``amount`` is a decimal
    string."""

    code: str
    amount: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(Message):
    """An entry was added to a service's audit log: who did what to whom, and what changed.

    ``client_address``: from where, if it was a request, by a caller of ``client_organization_id``.
    It is personal data and not part of the chain."""

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
    client_address: str | None = None
    client_organization_id: str | None = None

    TYPE: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(Message):
    """A service applies this version of the provider's settings from now on."""

    provider_id: str
    version: int

    AGGREGATE: ClassVar[str] = "provider_id"
