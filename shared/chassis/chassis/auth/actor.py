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


SYSTEM = Actor(kind="system", id="system", label="System")
