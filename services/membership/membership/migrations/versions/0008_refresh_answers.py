"""The answer to a refresh, so that it can be given again when it was lost.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refresh_tokens", sa.Column("answer", sa.Text(), nullable=True))
    op.create_index(
        "ix_refresh_tokens_answered",
        "refresh_tokens",
        ["used_at"],
        postgresql_where=sa.text("answer IS NOT NULL"),
        sqlite_where=sa.text("answer IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_refresh_tokens_answered", "refresh_tokens")
    op.drop_column("refresh_tokens", "answer")
