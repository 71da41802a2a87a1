"""A search on SQLite reads an index instead of every whole row.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_organizations_found",
        "organizations",
        ["provider_id", "sort_name", "id", "search"],
        postgresql_where=sa.text("false"),
    )
    _by_name(sa.text("0"))


def downgrade() -> None:
    _by_name(None)
    op.drop_index("ix_organizations_found", table_name="organizations")


def _by_name(where: sa.TextClause | None) -> None:
    """On SQLite the index by name alone is kept for these rows only: none, now that the other one
    does its work."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_organizations_name", table_name="organizations")
        columns = ["provider_id", "sort_name", "id"]
        op.create_index("ix_organizations_name", "organizations", columns, sqlite_where=where)
