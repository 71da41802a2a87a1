"""An index for the job that erases people who were removed before removal erased them.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

REMOVED = sa.text("status = 'removed'")


def upgrade() -> None:
    op.create_index(
        "ix_members_removed", "members", ["id"], postgresql_where=REMOVED, sqlite_where=REMOVED
    )


def downgrade() -> None:
    op.drop_index("ix_members_removed", "members")
