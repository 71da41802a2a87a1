"""Lists of transactions are filtered by when they were posted.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _replace("occurred_at", "posted_at")


def downgrade() -> None:
    _replace("posted_at", "occurred_at")


def _replace(old: str, new: str) -> None:
    op.drop_index(f"ix_journal_{old}", table_name="journal")
    op.create_index(
        f"ix_journal_{new}",
        "journal",
        ["organization_id", new],
        unique=False,
        postgresql_where=sa.text("part = 0"),
        sqlite_where=sa.text("part = 0"),
    )
