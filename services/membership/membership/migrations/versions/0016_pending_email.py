"""A changed address takes effect once it is proved.

Addresses that were changed before, and are not verified yet, are invitations now: their links go on
working.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Id

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("identities", "members"):
        op.add_column(table, sa.Column("pending_email", sa.String(length=254), nullable=True))
    op.add_column("mails", sa.Column("identity_id", Id("idn"), nullable=True))
    op.create_index("ix_mails_identity_id", "mails", ["identity_id"])
    op.execute("UPDATE mails SET purpose = 'invitation' WHERE purpose = 'verification'")
    op.execute("UPDATE mailed_tokens SET purpose = 'invitation' WHERE purpose = 'verification'")


def downgrade() -> None:
    op.execute("DELETE FROM mailed_tokens WHERE purpose = 'verification'")
    op.execute("UPDATE mails SET state = 'dropped' WHERE purpose = 'verification'")
    op.drop_index("ix_mails_identity_id", "mails")
    op.drop_column("mails", "identity_id")
    for table in ("members", "identities"):
        op.drop_column(table, "pending_email")
