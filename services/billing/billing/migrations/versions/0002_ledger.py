"""ledger

Revision ID: 0002
Revises: 0001
"""

from datetime import UTC, datetime

import chassis.db.columns
import sqlalchemy as sa
from alembic import op
from billing.values import month_end
from chassis.db.columns import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_notes",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.Column("tax", chassis.db.columns.BigInt, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "amount > 0 AND tax >= 0 AND tax <= amount", name=op.f("ck_credit_notes_amount")
        ),
        sa.PrimaryKeyConstraint("organization_id", "transaction_id", name=op.f("pk_credit_notes")),
        sa.UniqueConstraint(
            "provider_id", "number", name=op.f("uq_credit_notes_provider_id_number")
        ),
    )
    op.create_index(
        "ix_credit_notes_invoice_id",
        "credit_notes",
        ["organization_id", "invoice_id"],
        unique=False,
    )
    op.create_table(
        "invoices",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("from_seq", chassis.db.columns.BigInt, nullable=False),
        sa.Column("to_seq", chassis.db.columns.BigInt, nullable=False),
        sa.Column("total", chassis.db.columns.BigInt, nullable=False),
        sa.Column("tax", chassis.db.columns.BigInt, nullable=False),
        sa.Column("tax_name", sa.String(length=50), nullable=True),
        sa.Column("tax_rate", sa.String(length=8), nullable=True),
        sa.Column("paid", chassis.db.columns.BigInt, nullable=False),
        sa.Column("credited", chassis.db.columns.BigInt, nullable=False),
        sa.Column("about", chassis.db.columns.Json, nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("due_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overdue_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('individual', 'usage', 'consolidated', 'none')", name=op.f("ck_invoices_kind")
        ),
        sa.CheckConstraint(
            "status <> 'paid' OR paid + credited = total", name=op.f("ck_invoices_paid")
        ),
        sa.CheckConstraint(
            "status IN ('awaiting_payment', 'paid', 'void')", name=op.f("ck_invoices_status")
        ),
        sa.CheckConstraint(
            "paid >= 0 AND credited >= 0 AND paid + credited <= total",
            name=op.f("ck_invoices_parts"),
        ),
        sa.CheckConstraint("to_seq >= from_seq", name=op.f("ck_invoices_range")),
        sa.CheckConstraint(
            "total > 0 AND tax >= 0 AND tax <= total", name=op.f("ck_invoices_total")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("provider_id", "number", name=op.f("uq_invoices_provider_id_number")),
    )
    op.create_index(
        "ix_invoices_awaiting",
        "invoices",
        ["organization_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'awaiting_payment'"),
        sqlite_where=sa.text("status = 'awaiting_payment'"),
    )
    op.create_index(
        "ix_invoices_due_until",
        "invoices",
        ["due_until"],
        unique=False,
        postgresql_where=sa.text("status = 'awaiting_payment' AND overdue_at IS NULL"),
        sqlite_where=sa.text("status = 'awaiting_payment' AND overdue_at IS NULL"),
    )
    op.create_index(
        "ix_invoices_range",
        "invoices",
        ["organization_id", "to_seq"],
        unique=True,
        postgresql_where=sa.text("kind <> 'individual'"),
        sqlite_where=sa.text("kind <> 'individual'"),
    )
    op.create_table(
        "ledger_proofs",
        sa.Column("id", chassis.db.columns.BigInt, autoincrement=True, nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("after", sa.Uuid(), nullable=True),
        sa.Column("accounts", chassis.db.columns.BigInt, nullable=False),
        sa.Column("entries", chassis.db.columns.BigInt, nullable=False),
        sa.Column("trial_balance", chassis.db.columns.Json, nullable=False),
        sa.Column("discrepancies", chassis.db.columns.Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_proofs")),
    )
    op.create_index(
        "ix_ledger_proofs_provider_id", "ledger_proofs", ["provider_id", "id"], unique=False
    )
    op.create_table(
        "low_credits",
        sa.Column("id", chassis.db.columns.BigInt, autoincrement=True, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("usable", chassis.db.columns.BigInt, nullable=False),
        sa.Column("threshold", chassis.db.columns.BigInt, nullable=False),
        sa.Column("crossed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_low_credits")),
    )
    op.create_table(
        "payments",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('received', 'reversed')", name=op.f("ck_payments_status")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("edits >= 0 AND edits <= 5", name=op.f("ck_payments_edits")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_payments")),
    )
    op.create_table(
        "reservations",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.Column("captured", chassis.db.columns.BigInt, nullable=False),
        sa.Column("released", chassis.db.columns.BigInt, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status = 'open' OR captured + released = amount", name=op.f("ck_reservations_settled")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'captured', 'released', 'expired')",
            name=op.f("ck_reservations_status"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_reservations_amount")),
        sa.CheckConstraint(
            "captured >= 0 AND released >= 0 AND captured + released <= amount",
            name=op.f("ck_reservations_parts"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_reservations")),
    )
    op.create_index(
        "ix_reservations_expires_at",
        "reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "ix_reservations_status", "reservations", ["organization_id", "status", "id"], unique=False
    )
    op.create_table(
        "top_up_orders",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_top_up_orders")),
    )
    op.create_index("ix_top_up_orders_due_at", "top_up_orders", ["due_at"], unique=False)
    op.create_table(
        "unsaid_figures",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_unsaid_figures")),
    )
    op.add_column(
        "accounts",
        sa.Column("invoiced_seq", chassis.db.columns.BigInt, server_default="0", nullable=False),
    )
    op.add_column("accounts", sa.Column("month_ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "accounts", sa.Column("invoices", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "accounts", sa.Column("credit_notes", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("accounts", sa.Column("auto_last_on", sa.Date(), nullable=True))
    op.create_index(
        "ix_accounts_page", "accounts", ["provider_id", "organization_id"], unique=False
    )
    op.create_index(
        "ix_accounts_month_ends_at",
        "accounts",
        ["month_ends_at"],
        unique=False,
        postgresql_where=sa.text("month_ends_at IS NOT NULL"),
        sqlite_where=sa.text("month_ends_at IS NOT NULL"),
    )
    op.create_index(
        "ix_journal_invoice_id",
        "journal",
        ["organization_id", "invoice_id"],
        unique=False,
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
        sqlite_where=sa.text("invoice_id IS NOT NULL"),
    )
    op.create_index(
        "ix_journal_payment_id",
        "journal",
        ["organization_id", "payment_id"],
        unique=False,
        postgresql_where=sa.text("payment_id IS NOT NULL"),
        sqlite_where=sa.text("payment_id IS NOT NULL"),
    )
    # With the provider first, a plan made while it had few records would filter by provider alone.
    op.drop_index("ix_journal_source", table_name="journal")
    op.create_index(
        "ix_journal_source",
        "journal",
        ["source", "provider_id"],
        unique=True,
        postgresql_where=sa.text("source IS NOT NULL"),
        sqlite_where=sa.text("source IS NOT NULL"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Free space on each page for updates of the day's amount, as for the balances of accounts.
        op.execute("ALTER TABLE spendings SET (fillfactor = 50)")
    _schedule_first_invoices()


def _schedule_first_invoices() -> None:
    """Have accounts opened before this migration invoiced at the end of this month."""
    now = datetime.now(UTC)
    postpaid = sa.table(
        "accounts",
        sa.column("organization_id"),
        sa.column("timezone"),
        sa.column("payment_mode"),
        sa.column("month_ends_at", Instant),
    )
    connection = op.get_bind()
    for timezone in connection.scalars(sa.select(postpaid.c.timezone).distinct()).all():
        connection.execute(
            sa.update(postpaid)
            .where(postpaid.c.timezone == timezone, postpaid.c.payment_mode == "postpaid")
            .values(month_ends_at=month_end(now, timezone))
        )


def downgrade() -> None:
    raise NotImplementedError("the ledger cannot be downgraded")
