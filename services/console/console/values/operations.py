"""Who may do what, as the services decide it: ``make docs`` writes it from their tables to
``operations.json``.

Pages show what is allowed; the services check again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("operations.json")


@dataclass(frozen=True)
class Permit:
    """Who may do one operation: roles by kind of organization, and whether support may do it in a
    support session."""

    provider: Sequence[str]
    customer: Sequence[str]
    acting: bool

    @classmethod
    def of(cls, operation: str) -> "Permit":
        """The row of an operation. Raises KeyError if it is unknown."""
        return _rows()[operation]

    def allows(self, kind: str, role: str, *, acting: bool) -> bool:
        """Whether this role in an organization of this kind may do it."""
        roles = self.provider if kind == "provider" else self.customer
        return role in roles and (self.acting or not acting)


def reads_only(operation: str) -> bool:
    """Whether an operation is allowed with view-only access: it reads, or concerns only the
    user."""
    return operation.startswith(("me.", "session.")) or operation.endswith(
        (".read", ".list", ".overview")
    )


@cache
def _rows() -> dict[str, Permit]:
    return {name: Permit(**row) for name, row in json.loads(_FILE.read_text()).items()}
