"""Dead letters know who published them, and are limited per producer. Those from before have no
known producer and are never redriven in bulk.

Revision ID: 0003
Revises: 0002
"""

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dead_letters", sa.Column("published_by", sa.String(length=255), nullable=True))
    op.create_index(
        "ix_dead_letters_published_by",
        "dead_letters",
        ["published_by"],
        unique=False,
        postgresql_where=sa.text("redriven_at IS NULL"),
        sqlite_where=sa.text("redriven_at IS NULL"),
    )
    op.create_table(
        "refused_dead_letters",
        sa.Column("published_by", sa.String(length=255), nullable=False),
        sa.Column("times", chassis.db.columns.BigInt, nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("published_by", name=op.f("pk_refused_dead_letters")),
    )
    op.create_index(
        op.f("ix_refused_dead_letters_last_at"), "refused_dead_letters", ["last_at"], unique=False
    )


def downgrade() -> None:
    op.drop_table("refused_dead_letters")
    op.drop_index("ix_dead_letters_published_by", "dead_letters")
    op.drop_column("dead_letters", "published_by")
