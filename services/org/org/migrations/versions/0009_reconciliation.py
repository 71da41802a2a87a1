"""Comparing what org stores of organizations with billing and membership.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import BigInt, Json

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "reconciliation_passes",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("after", sa.Uuid(), nullable=True),
        sa.Column("organizations", sa.Integer(), nullable=False),
        sa.Column("checked", sa.Integer(), nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_passes")),
    )
    op.create_table(
        "reconciliation_checks",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("settings_version", sa.Integer(), nullable=False),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "service", name=op.f("pk_reconciliation_checks")
        ),
    )
    op.create_index(
        op.f("ix_reconciliation_checks_requested_at"),
        "reconciliation_checks",
        ["requested_at"],
        unique=False,
    )
    op.create_table(
        "differences",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ours", Json, nullable=False),
        sa.Column("theirs", Json, nullable=False),
        sa.Column("first_seen_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.Column("repair", sa.String(length=24), nullable=True),
        sa.Column("repaired_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "service", "kind", name=op.f("pk_differences")),
    )
    op.create_index(
        "ix_differences_last_seen_at",
        "differences",
        ["last_seen_at"],
        unique=False,
        postgresql_where=sa.text("repaired_at IS NULL"),
        sqlite_where=sa.text("repaired_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("differences")
    op.drop_table("reconciliation_checks")
    op.drop_table("reconciliation_passes")
