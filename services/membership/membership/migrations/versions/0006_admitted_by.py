"""Who gave each member their access, as far as the audit log knows.

A member counts as admitted by the organization only if its log says that one of its own people or
keys added them, and that nobody else has set their address or made them an admin since.

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Id, Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BATCH = 1000
ACCESS = ("email", "role", "portal_access", "owner")
ENTRIES = sa.table(
    "audit_entries",
    sa.column("organization_id", Id("org")),
    sa.column("number", sa.BigInteger),
    sa.column("action", sa.String),
    sa.column("outcome", sa.String),
    sa.column("actor", Json),
    sa.column("target", Json),
    sa.column("changes", Json),
)
MEMBERS = sa.table(
    "members",
    sa.column("id", Id("mem")),
    sa.column("organization_id", Id("org")),
    sa.column("admitted_by", sa.String),
)
ORGANIZATIONS = sa.table("organizations", sa.column("id", Id("org")), sa.column("kind", sa.String))
KEYS = sa.table("api_keys", sa.column("id", Id("key")), sa.column("organization_id", Id("org")))


def upgrade() -> None:
    op.add_column(
        "members",
        sa.Column("admitted_by", sa.String(length=16), server_default="provider", nullable=False),
    )
    connection = op.get_bind()
    of_provider = sa.select(ORGANIZATIONS.c.id).where(ORGANIZATIONS.c.kind == "provider")
    connection.execute(
        sa.update(MEMBERS)
        .where(MEMBERS.c.organization_id.in_(of_provider))
        .values(admitted_by="organization")
    )
    own = sorted(_admitted_by_own(connection))
    for first in range(0, len(own), BATCH):
        connection.execute(
            sa.update(MEMBERS)
            .where(MEMBERS.c.id.in_(own[first : first + BATCH]))
            .values(admitted_by="organization")
        )


def downgrade() -> None:
    op.drop_column("members", "admitted_by")


def _admitted_by_own(connection: sa.Connection) -> set[str]:
    keys = {row.id: row.organization_id for row in connection.execute(sa.select(KEYS))}
    own: set[str] = set()
    for entry in _entries(connection):
        kind, member_id = entry.actor.get("kind"), entry.target.get("id", "")
        by_own_key = kind == "api_key" and keys.get(entry.actor.get("id")) == entry.organization_id
        if kind == "member" or by_own_key:
            if entry.action == "member.added":
                own.add(member_id)
        elif any(_gives_access(change) for change in entry.changes):
            own.discard(member_id)
    return {member_id for member_id in own if member_id.startswith("mem_")}


def _gives_access(change: dict[str, Any]) -> bool:
    """Whether the change sets an address, gives portal access, or makes someone an admin or the
    owner."""
    return change.get("field") in ACCESS and change.get("after") not in (None, False, "member")


def _entries(connection: sa.Connection) -> Iterator[Any]:
    """What was done to members, in order."""
    done = (
        sa.select(ENTRIES)
        .where(
            ENTRIES.c.action.in_(("member.added", "member.updated", "ownership.transferred")),
            ENTRIES.c.outcome == "ok",
        )
        .order_by(ENTRIES.c.organization_id, ENTRIES.c.number)
        .execution_options(yield_per=BATCH)
    )
    yield from connection.execute(done)
