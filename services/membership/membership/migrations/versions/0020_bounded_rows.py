"""When a refresh token was made, and indexes for what is looked up and deleted; those that counted
invitations are not needed any more.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Instant

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KEYS = ("created_by", "expires_at", "deleted_at")
MEMBERS = {
    "ix_members_invited": ["organization_id", "invited_at"],
    "ix_members_inviter": ["invited_by", "invited_at"],
}


def upgrade() -> None:
    op.add_column("refresh_tokens", sa.Column("created_at", Instant(), nullable=True))
    for column in KEYS:
        op.create_index(op.f(f"ix_api_keys_{column}"), "api_keys", [column])
    for name in MEMBERS:
        op.drop_index(name, "members")


def downgrade() -> None:
    for name, columns in MEMBERS.items():
        op.create_index(name, "members", columns)
    for column in KEYS:
        op.drop_index(op.f(f"ix_api_keys_{column}"), "api_keys")
    op.drop_column("refresh_tokens", "created_at")
