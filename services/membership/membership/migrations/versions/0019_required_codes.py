"""Whether an organization requires one-time codes; of a provider, what its settings say.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Id, Json

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ORGANIZATIONS = sa.table(
    "organizations", sa.column("id", Id("org")), sa.column("mfa_required", sa.Boolean)
)
SETTINGS = sa.table(
    "provider_settings", sa.column("provider_id", Id("org")), sa.column("settings", Json)
)


def upgrade() -> None:
    op.add_column(
        "organizations",
        sa.Column("mfa_required", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    bind = op.get_bind()
    for provider_id, settings in bind.execute(sa.select(SETTINGS)).all():
        if settings.get("mfa_required") is True:
            of_provider = sa.update(ORGANIZATIONS).where(ORGANIZATIONS.c.id == provider_id)
            bind.execute(of_provider.values(mfa_required=True))


def downgrade() -> None:
    op.drop_column("organizations", "mfa_required")
