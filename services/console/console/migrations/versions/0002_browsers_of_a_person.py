"""The browser sessions of a person are counted."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_browsers_identity_id"), "browsers", ["identity_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_browsers_identity_id"), table_name="browsers")
