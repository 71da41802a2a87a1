"""The table of operations and roles: who may do what, readable by people, enforced on every
request."""

from collections.abc import Mapping
from dataclasses import dataclass

STAFF = ("owner", "manager", "billing", "support", "viewer")
CUSTOMER = ("owner", "admin", "member")
COLUMNS = (
    tuple(f"provider:{r}" for r in STAFF) + tuple(f"customer:{r}" for r in CUSTOMER) + ("acting",)
)
KEY = "api_key"
MAY, STEP_UP, NOT = "x", "!", "-"


@dataclass(frozen=True)
class Row:
    """Who may perform one operation. ``marks``: by column. ``scopes``: by kind of organization, the
    scope that an API key needs."""

    marks: Mapping[str, str]
    scopes: Mapping[str, str]


@dataclass(frozen=True)
class Operations:
    """The table of a service."""

    rows: Mapping[str, Row]

    @classmethod
    def parse(cls, table: str) -> "Operations":
        """Read a table with one operation per line, in groups divided by ``|``: its name; five
        marks for the provider's staff (owner, manager, billing, support, viewer); three for the
        customer's people (owner, admin, member); one for acting for someone else; the scopes that
        a provider's and a customer's API key need.

        ``x``: allowed. ``!``: allowed, after re-authentication where that is switched on. ``-``:
        not allowed. ``#`` starts a comment. Raises ValueError for any other line."""
        rows: dict[str, Row] = {}
        for raw in table.splitlines():
            line = raw.partition("#")[0].strip()
            if not line:
                continue
            name, row = _parse_row(line)
            if name in rows:
                raise ValueError(f"not a row of the table, one exists for this operation: {line!r}")
            rows[name] = row
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
        """Whether someone with this role in an organization of this kind may perform it; for an API
        key its ``scope`` decides. Raises KeyError if there is no such operation."""
        row = self.rows[operation]
        if role == KEY:
            return row.scopes.get(kind) in scope
        if acting and row.marks["acting"] == NOT:
            return False
        return row.marks.get(f"{kind}:{role}", NOT) != NOT

    def requires_step_up(self, operation: str, *, kind: str, role: str) -> bool:
        """Whether it requires re-authentication where that is switched on."""
        return self.rows[operation].marks.get(f"{kind}:{role}") == STEP_UP


def _parse_row(line: str) -> tuple[str, Row]:
    name, *groups = (part.split() for part in line.split("|"))
    sizes = [len(group) for group in (name, *groups)]
    if sizes != [1, len(STAFF), len(CUSTOMER), 1, 2]:
        raise ValueError(f"not a row of the table: {line!r}")
    marks = [mark for group in groups[:-1] for mark in group]
    if not set(marks) <= {MAY, STEP_UP, NOT}:
        raise ValueError(f"not a row of the table: {line!r}")
    scopes = zip(("provider", "customer"), groups[-1], strict=True)
    return name[0], Row(
        marks=dict(zip(COLUMNS, marks, strict=True)),
        scopes={kind: scope for kind, scope in scopes if scope != NOT},
    )
