"""Transfers of ownership that take effect later.

Revision ID: 0011
Revises: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "ownership_transfers"


def upgrade() -> None:
    open_ones = sa.text("status IN ('offered', 'scheduled')")
    where: dict[str, Any] = {"postgresql_where": open_ones, "sqlite_where": open_ones}
    op.drop_index("uq_ownership_transfers_offered", table_name=TABLE)
    op.drop_index("ix_ownership_transfers_due", table_name=TABLE)
    op.create_index("uq_ownership_transfers_open", TABLE, ["organization_id"], unique=True, **where)
    op.create_index("ix_ownership_transfers_due", TABLE, ["expires_at"], unique=False, **where)


def downgrade() -> None:
    offered = sa.text("status = 'offered'")
    where: dict[str, Any] = {"postgresql_where": offered, "sqlite_where": offered}
    op.drop_index("uq_ownership_transfers_open", table_name=TABLE)
    op.drop_index("ix_ownership_transfers_due", table_name=TABLE)
    op.create_index(
        "uq_ownership_transfers_offered", TABLE, ["organization_id"], unique=True, **where
    )
    op.create_index("ix_ownership_transfers_due", TABLE, ["expires_at"], unique=False, **where)
