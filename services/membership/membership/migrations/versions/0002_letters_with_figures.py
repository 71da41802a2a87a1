"""letters_with_figures

Revision ID: 0002
Revises: 0001
"""

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mails", sa.Column("figures", chassis.db.columns.Json, nullable=True))


def downgrade() -> None:
    op.drop_column("mails", "figures")
