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

_POSTGRESQL = (
    # Free space on each page, so that an updated row stays on its page and no index changes.
    "ALTER TABLE accounts SET (fillfactor = 50)",
    """
    CREATE FUNCTION refuse_journal_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$
    """,
    """
    CREATE TRIGGER journal_no_change BEFORE UPDATE OR DELETE ON journal
    FOR EACH ROW EXECUTE FUNCTION refuse_journal_change()
    """,
    """
    CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_journal_change()
    """,
    """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_database() || '_app') THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON journal FROM %I', current_database() || '_app');
        END IF;
    END $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payment_mode", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("closed_from", sa.String(length=16), nullable=True),
        sa.Column("credit_limit", chassis.db.columns.BigInt, nullable=False),
        sa.Column("temporary_limit", chassis.db.columns.BigInt, nullable=True),
        sa.Column("credit_limit_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prepaid", chassis.db.columns.BigInt, nullable=False),
        sa.Column("surplus", chassis.db.columns.BigInt, nullable=False),
        sa.Column("unbilled", chassis.db.columns.BigInt, nullable=False),
        sa.Column("invoiced", chassis.db.columns.BigInt, nullable=False),
        sa.Column("held", chassis.db.columns.BigInt, nullable=False),
        sa.Column("in_flight", chassis.db.columns.BigInt, nullable=False),
        sa.Column("seq", chassis.db.columns.BigInt, nullable=False),
        sa.Column("on_wallet", chassis.db.columns.BigInt, nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("days_said", sa.Integer(), nullable=True),
        sa.Column("days_due_on", sa.Date(), nullable=True),
        sa.Column("last_top_up", chassis.db.columns.BigInt, nullable=True),
        sa.Column("auto_enabled", sa.Boolean(), nullable=False),
        sa.Column("auto_threshold", chassis.db.columns.BigInt, nullable=True),
        sa.Column("auto_amount", chassis.db.columns.BigInt, nullable=True),
        sa.Column("auto_method", sa.String(length=16), nullable=True),
        sa.Column("payment_method", chassis.db.columns.Json, nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("billing", chassis.db.columns.Json, nullable=False),
        sa.Column("buyer_tags", chassis.db.columns.Json, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "payment_mode IN ('prepaid', 'postpaid')", name=op.f("ck_accounts_payment_mode")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'frozen', 'closed', 'sealed')", name=op.f("ck_accounts_status")
        ),
        sa.CheckConstraint(
            "status NOT IN ('closed', 'sealed') OR (prepaid = 0 AND surplus = 0 AND unbilled = 0 AND invoiced = 0"
            " AND held = 0 AND in_flight = 0)",
            name=op.f("ck_accounts_closed_is_empty"),
        ),
        sa.CheckConstraint(
            "credit_limit >= 0 AND (temporary_limit IS NULL OR temporary_limit >= 0)",
            name=op.f("ck_accounts_credit_limit"),
        ),
        sa.CheckConstraint(
            "held >= 0 AND held < 1000000000000000000", name=op.f("ck_accounts_held")
        ),
        sa.CheckConstraint(
            "invoiced >= 0 AND invoiced < 1000000000000000000", name=op.f("ck_accounts_invoiced")
        ),
        sa.CheckConstraint(
            "prepaid > -1000000000000000000 AND prepaid < 1000000000000000000",
            name=op.f("ck_accounts_prepaid"),
        ),
        sa.CheckConstraint(
            "surplus >= 0 AND surplus < 1000000000000000000", name=op.f("ck_accounts_surplus")
        ),
        sa.CheckConstraint(
            "unbilled >= 0 AND unbilled < 1000000000000000000", name=op.f("ck_accounts_unbilled")
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_accounts")),
    )
    op.create_index(
        "ix_accounts_credit_limit_expires_at",
        "accounts",
        ["credit_limit_expires_at"],
        unique=False,
        postgresql_where=sa.text("credit_limit_expires_at IS NOT NULL"),
        sqlite_where=sa.text("credit_limit_expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_accounts_days_due_on",
        "accounts",
        ["days_due_on"],
        unique=False,
        postgresql_where=sa.text("days_due_on IS NOT NULL"),
        sqlite_where=sa.text("days_due_on IS NOT NULL"),
    )
    op.create_index(
        "ix_accounts_provider_id", "accounts", ["provider_id", "currency"], unique=False
    )
    op.create_table(
        "journal",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("seq", chassis.db.columns.BigInt, autoincrement=False, nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("debit", sa.SmallInteger(), nullable=False),
        sa.Column("credit", sa.SmallInteger(), nullable=False),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.Column("moved", chassis.db.columns.BigInt, nullable=False),
        sa.Column("balance_after", chassis.db.columns.BigInt, nullable=False),
        sa.Column("prepaid_after", chassis.db.columns.BigInt, nullable=False),
        sa.Column("surplus_after", chassis.db.columns.BigInt, nullable=False),
        sa.Column("unbilled_after", chassis.db.columns.BigInt, nullable=False),
        sa.Column("invoiced_after", chassis.db.columns.BigInt, nullable=False),
        sa.Column("held_after", chassis.db.columns.BigInt, nullable=False),
        sa.Column("source", sa.String(length=128), nullable=True),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("refunded_id", sa.Uuid(), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=True),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("remark", sa.String(length=500), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("external_invoice", sa.String(length=255), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_journal_amount")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_journal_legs")),
        sa.PrimaryKeyConstraint("organization_id", "seq", name=op.f("pk_journal")),
        sa.UniqueConstraint(
            "organization_id",
            "transaction_id",
            "part",
            name=op.f("uq_journal_organization_id_transaction_id_part"),
        ),
    )
    op.create_index(
        "ix_journal_kind",
        "journal",
        ["organization_id", "kind", "seq"],
        unique=False,
        postgresql_where=sa.text("part = 0 AND kind <> 'usage'"),
        sqlite_where=sa.text("part = 0 AND kind <> 'usage'"),
    )
    op.create_index(
        "ix_journal_occurred_at",
        "journal",
        ["organization_id", "occurred_at"],
        unique=False,
        postgresql_where=sa.text("part = 0"),
        sqlite_where=sa.text("part = 0"),
    )
    op.create_index(
        "ix_journal_refunded_id",
        "journal",
        ["organization_id", "refunded_id"],
        unique=False,
        postgresql_where=sa.text("refunded_id IS NOT NULL"),
        sqlite_where=sa.text("refunded_id IS NOT NULL"),
    )
    op.create_index(
        "ix_journal_source",
        "journal",
        ["provider_id", "source"],
        unique=True,
        postgresql_where=sa.text("source IS NOT NULL"),
        sqlite_where=sa.text("source IS NOT NULL"),
    )
    op.create_index(
        "ix_journal_in",
        "journal",
        ["organization_id", "seq"],
        unique=False,
        postgresql_where=sa.text("part = 0 AND moved > 0"),
        sqlite_where=sa.text("part = 0 AND moved > 0"),
    )
    op.create_table(
        "providers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("billing", chassis.db.columns.Json, nullable=True),
        sa.Column("settings", chassis.db.columns.Json, nullable=False),
        sa.Column("settings_version", chassis.db.columns.BigInt, nullable=False),
        sa.Column("seq", chassis.db.columns.BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
    )
    op.create_table(
        "spendings",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "day", name=op.f("pk_spendings")),
    )

    _finish()


def _finish() -> None:
    """Make the journal append-only, by triggers for everyone and by privileges for the
    application."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            op.execute(statement)
    else:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER journal_no_{change.lower()} BEFORE {change} ON journal "
                "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
            )


def downgrade() -> None:
    raise NotImplementedError("the first migration has nothing before it")
