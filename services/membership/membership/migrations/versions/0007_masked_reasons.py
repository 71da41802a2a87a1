"""Reasons given for support do not name the staff who gave them.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from membership.values.support import Staff

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BATCH = 1000
NAMES = {"support_grants": "requested_by_name", "acting_sessions": "staff_name"}


def upgrade() -> None:
    connection = op.get_bind()
    for name, column in NAMES.items():
        table = sa.table(name, sa.column("id", sa.Uuid), sa.column("reason"), sa.column(column))
        change = (
            sa.update(table)
            .where(table.c.id == sa.bindparam("which"))
            .values(reason=sa.bindparam("masked"))
        )
        rows = connection.execute(
            sa.select(table.c.id, table.c.reason, table.c[column]).where(table.c.reason != "")
        ).all()
        changed = [
            {"which": row.id, "masked": masked}
            for row in rows
            if (masked := _staff(row[2]).masks(row.reason, email=None)) != row.reason
        ]
        for first in range(0, len(changed), BATCH):
            connection.execute(change, changed[first : first + BATCH])


def downgrade() -> None:
    raise NotImplementedError("the names are gone")


def _staff(name: str) -> Staff:
    return Staff(identity_id="", organization_id="", session_id="", role="", name=name)
