"""Who did something, as audit rows name them."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Actor:
    """``kind``: staff, member, support, api_key or system; ``acting``: for whom and why, when acting for somebody."""

    kind: str
    id: str
    label: str = ""
    acting: dict[str, Any] = field(default_factory=dict)


SYSTEM = Actor(kind="system", id="system", label="System")
