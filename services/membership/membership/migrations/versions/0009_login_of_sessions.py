"""Sessions know the login that they came from, so that one is used again.

Sessions from before count as logins of their own.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Id

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("login_id", Id("ses"), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "login_id")
