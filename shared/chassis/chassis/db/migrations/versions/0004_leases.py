"""Leases on any kind of work, shared fairly. A relay of the version before waits until it is
replaced.

Revision ID: 0004
Revises: 0003
"""

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("fence", chassis.db.columns.BigInt, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "part", name=op.f("pk_leases")),
    )
    op.create_table(
        "lease_holders",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "holder", name=op.f("pk_lease_holders")),
    )
    op.drop_table("relay_leases")


def downgrade() -> None:
    op.create_table(
        "relay_leases",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("fence", chassis.db.columns.BigInt, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_relay_leases")),
    )
    op.drop_table("lease_holders")
    op.drop_table("leases")
