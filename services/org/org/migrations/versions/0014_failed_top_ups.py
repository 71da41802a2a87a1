"""Whether an automatic top-up failed.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import BigInt

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organizations", sa.Column("failed_top_up_units", BigInt))


def downgrade() -> None:
    op.drop_column("organizations", "failed_top_up_units")
