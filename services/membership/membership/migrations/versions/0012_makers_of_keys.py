"""API keys are suspended with their makers. Existing keys are checked by a job, which first warns the
owners of those whose makers have left.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Instant

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("suspended_at", Instant, nullable=True))
    op.add_column("api_keys", sa.Column("suspended_because", sa.String(length=32), nullable=True))
    op.add_column("api_keys", sa.Column("suspend_at", Instant, nullable=True))
    op.add_column(
        "api_keys", sa.Column("unchecked", sa.Boolean, server_default=sa.false(), nullable=False)
    )
    op.execute("UPDATE api_keys SET unchecked = true WHERE deleted_at IS NULL")
    for name, column, where in (
        ("ix_api_keys_suspend", "suspend_at", "suspend_at IS NOT NULL"),
        ("ix_api_keys_unchecked", "id", "unchecked"),
    ):
        op.create_index(
            name,
            "api_keys",
            [column],
            postgresql_where=sa.text(where),
            sqlite_where=sa.text(where),
        )


def downgrade() -> None:
    op.drop_index("ix_api_keys_unchecked", "api_keys")
    op.drop_index("ix_api_keys_suspend", "api_keys")
    for column in ("unchecked", "suspend_at", "suspended_because", "suspended_at"):
        op.drop_column("api_keys", column)
