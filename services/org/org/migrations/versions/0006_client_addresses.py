"""From where things were done, which is deleted after 90 days; unknown for what was done before.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "client_addresses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_addresses")),
    )
    for column in ("organization_id", "at"):
        op.create_index(
            op.f(f"ix_client_addresses_{column}"), "client_addresses", [column], unique=False
        )


def downgrade() -> None:
    op.drop_table("client_addresses")
