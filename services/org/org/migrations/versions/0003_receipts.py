"""Receipts of what staff did inside, until they are due.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("acting_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("acting_id", name=op.f("pk_receipts")),
    )
    op.create_index(op.f("ix_receipts_due_at"), "receipts", ["due_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_receipts_due_at"), table_name="receipts")
    op.drop_table("receipts")
