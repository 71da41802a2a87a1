"""Proofs, keys, transfers of ownership, staff who step in."""

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guesses",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("recent", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shut_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_guesses")),
    )
    op.create_index(op.f("ix_guesses_last_at"), "guesses", ["last_at"], unique=False)
    op.create_index(
        "ix_login_failures_untold",
        "login_failures",
        ["last_at"],
        unique=False,
        postgresql_where=sa.text("untold > 0"),
        sqlite_where=sa.text("untold > 0"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", chassis.db.columns.Json, nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_by_name", sa.String(length=511), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_api_keys_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index("ix_api_keys_organization", "api_keys", ["organization_id", "id"], unique=False)
    op.create_table(
        "known_clients",
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("client", sa.LargeBinary(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_known_clients_identity_id")
        ),
        sa.PrimaryKeyConstraint("identity_id", "client", name=op.f("pk_known_clients")),
    )
    op.create_index(op.f("ix_known_clients_last_at"), "known_clients", ["last_at"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_recovery_codes_identity_id")
        ),
        sa.PrimaryKeyConstraint("identity_id", "digest", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "support_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("access", sa.String(length=8), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_by_name", sa.String(length=511), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_by_name", sa.String(length=511), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.String(length=32), nullable=True),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_support_grants_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_support_grants")),
    )
    op.create_index(
        "ix_support_grants_open",
        "support_grants",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'active')"),
        sqlite_where=sa.text("status IN ('pending', 'active')"),
    )
    op.create_index(
        "ix_support_grants_organization", "support_grants", ["organization_id", "id"], unique=False
    )
    op.create_index(
        "ix_support_grants_provider",
        "support_grants",
        ["provider_id", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'active')"),
        sqlite_where=sa.text("status IN ('pending', 'active')"),
    )
    op.create_table(
        "totps",
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", chassis.db.columns.BigInt, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("shut_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("short_password", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_totps_identity_id")
        ),
        sa.PrimaryKeyConstraint("identity_id", name=op.f("pk_totps")),
    )
    op.create_table(
        "acting_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("access", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("staff_identity_id", sa.Uuid(), nullable=False),
        sa.Column("staff_member_id", sa.Uuid(), nullable=False),
        sa.Column("staff_name", sa.String(length=511), nullable=False),
        sa.Column("staff_session_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["support_grants.id"], name=op.f("fk_acting_sessions_grant_id")
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_acting_sessions_member_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_acting_sessions_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acting_sessions")),
    )
    op.create_index(
        "ix_acting_sessions_due",
        "acting_sessions",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        op.f("ix_acting_sessions_grant_id"), "acting_sessions", ["grant_id"], unique=False
    )
    op.create_index(
        op.f("ix_acting_sessions_member_id"), "acting_sessions", ["member_id"], unique=False
    )
    op.create_index(
        "ix_acting_sessions_organization",
        "acting_sessions",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_acting_sessions_provider",
        "acting_sessions",
        ["provider_id", "id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_acting_sessions_staff",
        "acting_sessions",
        ["staff_identity_id", "started_at"],
        unique=False,
    )
    op.create_index(
        "ix_acting_sessions_staff_session",
        "acting_sessions",
        ["staff_session_id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_acting_sessions_staff_open",
        "acting_sessions",
        ["staff_identity_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "api_key_secrets",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_api_key_secrets_key_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_api_key_secrets")),
    )
    op.create_index(op.f("ix_api_key_secrets_key_id"), "api_key_secrets", ["key_id"], unique=False)
    op.create_table(
        "ownership_transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("from_member_id", sa.Uuid(), nullable=False),
        sa.Column("to_member_id", sa.Uuid(), nullable=False),
        sa.Column("to_role", sa.String(length=16), nullable=False),
        sa.Column("by_staff", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["from_member_id"], ["members.id"], name=op.f("fk_ownership_transfers_from_member_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_ownership_transfers_organization_id"),
        ),
        sa.ForeignKeyConstraint(
            ["to_member_id"], ["members.id"], name=op.f("fk_ownership_transfers_to_member_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ownership_transfers")),
    )
    op.create_index(
        "ix_ownership_transfers_due",
        "ownership_transfers",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'offered'"),
        sqlite_where=sa.text("status = 'offered'"),
    )
    op.create_index(
        "ix_ownership_transfers_organization",
        "ownership_transfers",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_index(
        "uq_ownership_transfers_offered",
        "ownership_transfers",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("status = 'offered'"),
        sqlite_where=sa.text("status = 'offered'"),
    )
    with op.batch_alter_table("mails") as batch:
        batch.alter_column(
            "purpose", existing_type=sa.String(length=16), type_=sa.String(length=32)
        )
    op.add_column("members", sa.Column("invited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("members", sa.Column("invited_by", sa.String(length=64), nullable=True))
    op.create_index(
        "ix_members_invited", "members", ["organization_id", "invited_at"], unique=False
    )
    op.create_index("ix_members_inviter", "members", ["invited_by", "invited_at"], unique=False)
    op.create_index(
        "ix_mails_undo",
        "mails",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("purpose = 'undo'"),
        sqlite_where=sa.text("purpose = 'undo'"),
    )
    # With defaults, for SQLite would have to copy the table, and dropping the old one takes the
    # refresh tokens along.
    op.add_column(
        "sessions",
        sa.Column(
            "proved_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default="1970-01-01 00:00:00.000000",
        ),
    )
    op.add_column(
        "sessions", sa.Column("with_otp", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute("UPDATE sessions SET proved_at = created_at")


def downgrade() -> None:
    op.drop_column("sessions", "with_otp")
    op.drop_column("sessions", "proved_at")
    op.drop_index(
        "ix_mails_undo",
        table_name="mails",
        postgresql_where=sa.text("purpose = 'undo'"),
        sqlite_where=sa.text("purpose = 'undo'"),
    )
    op.drop_index("ix_members_inviter", table_name="members")
    op.drop_index("ix_members_invited", table_name="members")
    op.drop_column("members", "invited_by")
    op.drop_column("members", "invited_at")
    with op.batch_alter_table("mails") as batch:
        batch.alter_column(
            "purpose", existing_type=sa.String(length=32), type_=sa.String(length=16)
        )
    op.drop_index(
        "uq_ownership_transfers_offered",
        table_name="ownership_transfers",
        postgresql_where=sa.text("status = 'offered'"),
        sqlite_where=sa.text("status = 'offered'"),
    )
    op.drop_index("ix_ownership_transfers_organization", table_name="ownership_transfers")
    op.drop_index(
        "ix_ownership_transfers_due",
        table_name="ownership_transfers",
        postgresql_where=sa.text("status = 'offered'"),
        sqlite_where=sa.text("status = 'offered'"),
    )
    op.drop_table("ownership_transfers")
    op.drop_index(op.f("ix_api_key_secrets_key_id"), table_name="api_key_secrets")
    op.drop_table("api_key_secrets")
    op.drop_index(
        "uq_acting_sessions_staff_open",
        table_name="acting_sessions",
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index(
        "ix_acting_sessions_staff_session",
        table_name="acting_sessions",
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index("ix_acting_sessions_staff", table_name="acting_sessions")
    op.drop_index(
        "ix_acting_sessions_provider",
        table_name="acting_sessions",
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index("ix_acting_sessions_organization", table_name="acting_sessions")
    op.drop_index(op.f("ix_acting_sessions_member_id"), table_name="acting_sessions")
    op.drop_index(op.f("ix_acting_sessions_grant_id"), table_name="acting_sessions")
    op.drop_index(
        "ix_acting_sessions_due",
        table_name="acting_sessions",
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("acting_sessions")
    op.drop_table("totps")
    op.drop_index(
        "ix_support_grants_provider",
        table_name="support_grants",
        postgresql_where=sa.text("status IN ('pending', 'active')"),
        sqlite_where=sa.text("status IN ('pending', 'active')"),
    )
    op.drop_index("ix_support_grants_organization", table_name="support_grants")
    op.drop_index(
        "ix_support_grants_open",
        table_name="support_grants",
        postgresql_where=sa.text("status IN ('pending', 'active')"),
        sqlite_where=sa.text("status IN ('pending', 'active')"),
    )
    op.drop_table("support_grants")
    op.drop_table("recovery_codes")
    op.drop_index(op.f("ix_known_clients_last_at"), table_name="known_clients")
    op.drop_table("known_clients")
    op.drop_index("ix_api_keys_organization", table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index(
        "ix_login_failures_untold",
        table_name="login_failures",
        postgresql_where=sa.text("untold > 0"),
        sqlite_where=sa.text("untold > 0"),
    )
    op.drop_index(op.f("ix_guesses_last_at"), table_name="guesses")
    op.drop_table("guesses")
