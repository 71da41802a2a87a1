"""Who may do what, as the services decide it: written by ``make docs`` from their tables into
``operations.json``.

Pages show what may be done; the services decide again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("operations.json")


@dataclass(frozen=True)
class Permit:
    """Who may do one operation: roles by kind of organization; whether support may in a customer's
    place."""

    provider: Sequence[str]
    customer: Sequence[str]
    acting: bool

    @classmethod
    def of(cls, operation: str) -> "Permit":
        """The row of an operation. Raises KeyError where there is none."""
        return _rows()[operation]

    def allows(self, kind: str, role: str, *, acting: bool) -> bool:
        """Whether this role in an organization of this kind may."""
        roles = self.provider if kind == "provider" else self.customer
        return role in roles and (self.acting or not acting)


def reads_only(operation: str) -> bool:
    """Whether somebody may do it who may look and not change anything: it reads, or concerns only
    themselves."""
    return operation.startswith(("me.", "session.")) or operation.endswith(
        (".read", ".list", ".overview")
    )


@cache
def _rows() -> dict[str, Permit]:
    return {name: Permit(**row) for name, row in json.loads(_FILE.read_text()).items()}
