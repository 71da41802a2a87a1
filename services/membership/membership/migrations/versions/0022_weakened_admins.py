"""When a customer's provider last took the rights of an admin from somebody; not known of the time
before.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Instant

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "organizations", sa.Column("provider_weakened_admins_at", Instant(), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("organizations", "provider_weakened_admins_at")
