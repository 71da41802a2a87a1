"""A person's own name belongs to them; what an organization called them becomes its label.

People who have not joined an organization yet have no name of their own. Others keep the name that
they sign in with, and each organization goes on showing the name that it had for them.

Revision ID: 0014
Revises: 0013
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Id

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BATCH = 1000
CURRENT = ("pending", "active", "disabled")
IDENTITIES = sa.table(
    "identities",
    sa.column("id", Id("idn")),
    sa.column("given_name", sa.String),
    sa.column("family_name", sa.String),
    sa.column("email_verified_at", sa.String),
    sa.column("status", sa.String),
)
MEMBERS = sa.table(
    "members",
    sa.column("id", Id("mem")),
    sa.column("identity_id", Id("idn")),
    sa.column("name", sa.String),
    sa.column("given_name", sa.String),
    sa.column("family_name", sa.String),
    sa.column("label", sa.String),
    sa.column("status", sa.String),
    sa.column("verified", sa.Boolean),
    sa.column("search", sa.String),
)


def upgrade() -> None:
    op.add_column("members", sa.Column("label", sa.String(length=511), nullable=True))
    connection = op.get_bind()
    connection.execute(
        sa.update(IDENTITIES)
        .where(IDENTITIES.c.email_verified_at.is_(None))
        .values(given_name="", family_name="")
    )
    with_login = (MEMBERS.c.identity_id.is_not(None), MEMBERS.c.status.in_(CURRENT))
    connection.execute(
        sa.update(MEMBERS).where(*with_login, ~MEMBERS.c.verified).values(label=MEMBERS.c.name)
    )
    _label_joined(connection)


def downgrade() -> None:
    connection = op.get_bind()
    connection.execute(
        sa.update(MEMBERS).where(MEMBERS.c.label.is_not(None)).values(name=MEMBERS.c.label)
    )
    op.drop_column("members", "label")


def _label_joined(connection: sa.Connection) -> None:
    own = sa.func.trim(IDENTITIES.c.given_name + " " + IDENTITIES.c.family_name)
    joined = (
        sa.select(
            MEMBERS.c.id,
            MEMBERS.c.name.label("known_as"),
            MEMBERS.c.search,
            IDENTITIES.c.given_name,
            IDENTITIES.c.family_name,
        )
        .join(IDENTITIES, IDENTITIES.c.id == MEMBERS.c.identity_id)
        .where(
            MEMBERS.c.verified,
            MEMBERS.c.status.in_(CURRENT),
            IDENTITIES.c.status == "active",
            own != "",
            sa.or_(own != MEMBERS.c.name, MEMBERS.c.given_name.is_(None)),
        )
    )
    rows = connection.execute(joined).all()
    change = (
        sa.update(MEMBERS)
        .where(MEMBERS.c.id == sa.bindparam("which"))
        .values(
            name=sa.bindparam("own"),
            given_name=sa.bindparam("given"),
            family_name=sa.bindparam("family"),
            label=sa.bindparam("known_as"),
            search=sa.bindparam("found_by"),
        )
    )
    for first in range(0, len(rows), BATCH):
        connection.execute(change, [_renamed(row) for row in rows[first : first + BATCH]])


def _renamed(row: Any) -> dict[str, Any]:
    own = f"{row.given_name} {row.family_name}".strip()
    return {
        "which": row.id,
        "own": own,
        "given": row.given_name,
        "family": row.family_name,
        "known_as": None if own == row.known_as else row.known_as,
        "found_by": f"{row.search}\n{own}".casefold()[:1024],
    }
