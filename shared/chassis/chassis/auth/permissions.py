"""The operation x role table: who may do what, readable by people, enforced at the door."""

from collections.abc import Mapping
from dataclasses import dataclass

STAFF = ("owner", "manager", "billing", "support", "viewer")
CUSTOMER = ("owner", "admin", "member")
COLUMNS = (
    tuple(f"provider:{r}" for r in STAFF) + tuple(f"customer:{r}" for r in CUSTOMER) + ("acting",)
)
KEY = "api_key"
MAY, PROVEN, NOT = "x", "!", "-"


@dataclass(frozen=True)
class Row:
    """Who may do one operation. ``marks``: by column; ``scopes``: by kind of organization, what an
    API key needs."""

    marks: Mapping[str, str]
    scopes: Mapping[str, str]


@dataclass(frozen=True)
class Operations:
    """A service's table."""

    rows: Mapping[str, Row]

    @classmethod
    def parse(cls, table: str) -> "Operations":
        """Read a table of one operation a line: its name, ``|``, five marks for the provider's staff (owner, manager,
        billing, support, viewer), ``|``, three for the customer's people (owner, admin, member), ``|``, one for
        whoever acts for somebody else, ``|``, the scope a provider's API key needs and the one a customer's needs.
        ``x`` may, ``!`` may after a fresh proof where that is required, ``-`` may not. Raises ValueError on any other
        line."""
        rows: dict[str, Row] = {}
        for line in filter(None, (raw.partition("#")[0].strip() for raw in table.splitlines())):
            name, *groups = (part.split() for part in line.split("|"))
            shape = [len(group) for group in (name, *groups)]
            marks = [mark for group in groups[:-1] for mark in group]
            if (
                shape != [1, len(STAFF), len(CUSTOMER), 1, 2]
                or set(marks) - {MAY, PROVEN, NOT}
                or name[0] in rows
            ):
                raise ValueError(f"not a row of the table: {line!r}")
            kinds = zip(("provider", "customer"), groups[-1], strict=True)
            rows[name[0]] = Row(
                dict(zip(COLUMNS, marks, strict=True)), {k: s for k, s in kinds if s != NOT}
            )
        return cls(rows)

    def allows(
        self,
        operation: str,
        *,
        kind: str,
        role: str,
        acting: bool = False,
        scope: frozenset[str] = frozenset(),
    ) -> bool:
        """Whether somebody with this role in an organization of this kind may do it; an API key by
        its ``scope``.

        KeyError: no such row."""
        row = self.rows[operation]
        if role == KEY:
            return row.scopes.get(kind) in scope
        return row.marks.get(f"{kind}:{role}", NOT) != NOT and (
            not acting or row.marks["acting"] != NOT
        )

    def wants_proof(self, operation: str, *, kind: str, role: str) -> bool:
        """Whether it is dangerous enough for a fresh proof of who they are, where that is
        required."""
        return self.rows[operation].marks.get(f"{kind}:{role}") == PROVEN
