"""letters_with_figures

Revision ID: 0002
Revises: 0001
"""

import chassis.sql
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mails", sa.Column("figures", chassis.sql.Json, nullable=True))


def downgrade() -> None:
    op.drop_column("mails", "figures")
