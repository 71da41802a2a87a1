"""The actor of a change, as audit rows name it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Actor:
    """``kind``: staff, member, support, api_key or system. ``acting``: for whom and why, if the
    actor acts for someone."""

    kind: str
    id: str
    label: str = ""
    acting: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Client:
    """From where a request came. ``organization_id``: its caller's, if it has a valid token."""

    address: str
    organization_id: str | None = None


SYSTEM = Actor(kind="system", id="system", label="System")
