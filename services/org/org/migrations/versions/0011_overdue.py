"""What organizations owe on overdue invoices, and their credit limit as a number.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import BigInt

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ORGANIZATIONS = sa.table(
    "organizations", sa.column("limit_now", sa.String), sa.column("limit_units", sa.BigInteger)
)


def upgrade() -> None:
    for column in (
        sa.Column("limit_units", BigInt, server_default="0", nullable=False),
        sa.Column("overdue_amount", sa.String(length=24)),
        sa.Column("oldest_due_on", sa.Date()),
    ):
        op.add_column("organizations", column)
    units = sa.cast(ORGANIZATIONS.c.limit_now, sa.Numeric) * 1_000_000
    limits = sa.update(ORGANIZATIONS).where(ORGANIZATIONS.c.limit_now != "0")
    op.execute(limits.values(limit_units=sa.cast(units, sa.BigInteger)))


def downgrade() -> None:
    for name in ("oldest_due_on", "overdue_amount", "limit_units"):
        op.drop_column("organizations", name)
