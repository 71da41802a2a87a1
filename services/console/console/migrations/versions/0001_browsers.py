"""Browsers, their seats, drafts"""

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "browsers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=520), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_browsers")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_browsers_secret_hash")),
    )
    op.create_index(op.f("ix_browsers_used_at"), "browsers", ["used_at"], unique=False)
    op.create_table(
        "drafts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("browser_id", sa.Uuid(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["browser_id"], ["browsers.id"], name=op.f("fk_drafts_browser_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
    )
    op.create_index(op.f("ix_drafts_browser_id"), "drafts", ["browser_id"], unique=False)
    op.create_index(op.f("ix_drafts_kept_at"), "drafts", ["kept_at"], unique=False)
    op.create_table(
        "seats",
        sa.Column("browser_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("organization", chassis.db.columns.Json, nullable=False),
        sa.Column("member", sa.String(length=520), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("act", chassis.db.columns.Json, nullable=True),
        sa.Column("tokens", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["browser_id"], ["browsers.id"], name=op.f("fk_seats_browser_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("browser_id", "key", name=op.f("pk_seats")),
    )


def downgrade() -> None:
    op.drop_table("seats")
    op.drop_index(op.f("ix_drafts_kept_at"), table_name="drafts")
    op.drop_index(op.f("ix_drafts_browser_id"), table_name="drafts")
    op.drop_table("drafts")
    op.drop_index(op.f("ix_browsers_used_at"), table_name="browsers")
    op.drop_table("browsers")
