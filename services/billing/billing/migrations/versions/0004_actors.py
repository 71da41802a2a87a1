"""The journal tells who posted a transaction; of those from before it is not known.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("journal", sa.Column("actor_kind", sa.String(length=16), nullable=True))
    op.add_column("journal", sa.Column("actor_id", sa.String(length=64), nullable=True))


def downgrade() -> None:
    for name in ("actor_id", "actor_kind"):
        op.drop_column("journal", name)
