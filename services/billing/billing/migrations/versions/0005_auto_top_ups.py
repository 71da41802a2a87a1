"""Automatic top-ups are for prepaid accounts.

Those of postpaid accounts had no effect on what the customer may spend. They are turned off.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE accounts SET auto_enabled = false WHERE payment_mode = 'postpaid' AND auto_enabled"
    )


def downgrade() -> None:
    """Which ones were on is not known."""
