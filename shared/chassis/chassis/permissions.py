"""The operation x role table: who may do what, readable by people, enforced at the door."""

from collections.abc import Mapping
from dataclasses import dataclass

STAFF = ("owner", "manager", "billing", "support", "viewer")
CUSTOMER = ("owner", "admin", "member")
_COLUMNS = tuple(f"provider:{r}" for r in STAFF) + tuple(f"customer:{r}" for r in CUSTOMER) + ("acting",)


@dataclass(frozen=True)
class Operations:
    """A service's table. ``grants``: operation -> the columns with an x."""

    grants: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, table: str) -> "Operations":
        """Read a table of one operation a line: its name, ``|``, five marks for the provider's staff (owner, manager,
        billing, support, viewer), ``|``, three for the customer's people (owner, admin, member), ``|``, one for
        whoever acts for somebody else. ``x`` may, ``-`` may not. Raises ValueError on any other line."""
        grants: dict[str, frozenset[str]] = {}
        for line in filter(None, (raw.partition("#")[0].strip() for raw in table.splitlines())):
            name, *groups = (part.split() for part in line.split("|"))
            marks = [mark for group in groups for mark in group]
            shape = [len(group) for group in (name, *groups)]
            if shape != [1, len(STAFF), len(CUSTOMER), 1] or set(marks) - {"x", "-"} or name[0] in grants:
                raise ValueError(f"not a row of the table: {line!r}")
            grants[name[0]] = frozenset(c for c, mark in zip(_COLUMNS, marks, strict=True) if mark == "x")
        return cls(grants)

    def allows(self, operation: str, *, kind: str, role: str, acting: bool) -> bool:
        """Whether somebody with this role in an organization of this kind may do it. KeyError: no such row."""
        columns = self.grants[operation]
        return f"{kind}:{role}" in columns and (not acting or "acting" in columns)
