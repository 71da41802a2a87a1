"""Customers are sorted by credits within their currency.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NAME = "ix_organizations_usable"


def upgrade() -> None:
    op.drop_index(NAME, "organizations")
    op.create_index(NAME, "organizations", ["provider_id", "currency", "usable_units", "id"])


def downgrade() -> None:
    op.drop_index(NAME, "organizations")
    op.create_index(NAME, "organizations", ["provider_id", "usable_units", "id"])
