"""From where a session was last used.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("client_address", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "client_address")
