"""People who were removed and erased before are erased again, by the job that erases those removed
before removal erased them: the audit logs still name them.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE members SET status = 'removed' WHERE status = 'erased' AND organization_id IN"
        " (SELECT id FROM organizations WHERE state <> 'erased')"
    )


def downgrade() -> None:
    pass
