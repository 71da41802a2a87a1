"""initial

Revision ID: 0001
Revises:
"""

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "conversations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("deletion_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("waiting_for", sa.String(length=16), nullable=False),
        sa.Column("back_to", sa.String(length=24), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times_asked", sa.Integer(), nullable=False),
        sa.Column("ask_again_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    op.create_index(
        "ix_conversations_due",
        "conversations",
        ["ask_again_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_conversations_open",
        "conversations",
        ["organization_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "deletions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_before", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("requested_by", chassis.db.columns.Json, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blockers", chassis.db.columns.Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
    )
    op.create_index(
        "ix_deletions_due",
        "deletions",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("status = 'scheduled'"),
        sqlite_where=sa.text("status = 'scheduled'"),
    )
    op.create_index(
        "ix_deletions_organization", "deletions", ["organization_id", "requested_at"], unique=False
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sort_name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("pricing_model", sa.String(length=8), nullable=False),
        sa.Column("payment_mode", sa.String(length=8), nullable=False),
        sa.Column("credit_limit", sa.String(length=24), nullable=True),
        sa.Column("billing_name", sa.String(length=255), nullable=True),
        sa.Column("billing_email", sa.String(length=254), nullable=True),
        sa.Column("billing_address", sa.String(length=500), nullable=True),
        sa.Column("billing_city", sa.String(length=255), nullable=True),
        sa.Column("owner", chassis.db.columns.Json, nullable=False),
        sa.Column("buyer_tags", chassis.db.columns.Json, nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("managed_by", sa.String(length=8), nullable=False),
        sa.Column("purge_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("search", sa.String(length=1500), nullable=False),
        sa.Column("usable_credits", sa.String(length=24), nullable=False),
        sa.Column("usable_units", chassis.db.columns.BigInt, nullable=False),
        sa.Column("balance", sa.String(length=24), nullable=False),
        sa.Column("limit_now", sa.String(length=24), nullable=False),
        sa.Column("amount_due", sa.String(length=24), nullable=False),
        sa.Column("days_to_empty", sa.Integer(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("admins", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_index(
        "ix_organizations_created_at",
        "organizations",
        ["provider_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_organizations_days_to_empty",
        "organizations",
        ["provider_id", "days_to_empty", "id"],
        unique=False,
    )
    op.create_index(
        "ix_organizations_name", "organizations", ["provider_id", "sort_name", "id"], unique=False
    )
    op.create_index(
        "ix_organizations_search",
        "organizations",
        ["search"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search": "gin_trgm_ops"},
    )
    op.create_index(
        "ix_organizations_usable",
        "organizations",
        ["provider_id", "usable_units", "id"],
        unique=False,
    )
    op.create_table(
        "provider_settings",
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chosen", chassis.db.columns.Json, nullable=False),
        sa.Column("applied", chassis.db.columns.Json, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_provider_settings")),
    )
    op.create_table(
        "revocations",
        sa.Column("seq", chassis.db.columns.BigInt, autoincrement=True, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_at"), "revocations", ["at"], unique=False)
    op.create_table(
        "trail",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("actor", chassis.db.columns.Json, nullable=False),
        sa.Column("target", chassis.db.columns.Json, nullable=False),
        sa.Column("changes", chassis.db.columns.Json, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trail")),
    )
    op.create_index("ix_trail_organization", "trail", ["organization_id", "at", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("the first migration has nothing before it")
