"""Indexes to find the support grants that name a person. People who were removed and erased before
are erased again, by the job that erases those removed before removal erased them: support access
still names them.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COLUMNS = ("requested_by", "decided_by")


def upgrade() -> None:
    for column in COLUMNS:
        op.create_index(op.f(f"ix_support_grants_{column}"), "support_grants", [column])
    op.execute(
        "UPDATE members SET status = 'removed' WHERE status = 'erased' AND organization_id IN"
        " (SELECT id FROM organizations WHERE state <> 'erased')"
    )


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_index(op.f(f"ix_support_grants_{column}"), "support_grants")
