"""When each member last signed in; of the past, what their stored sessions tell.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Id, Instant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MEMBERS = sa.table(
    "members",
    sa.column("id", Id("mem")),
    sa.column("last_signed_in_at", Instant),
    sa.column("status", sa.String),
)
SESSIONS = sa.table("sessions", sa.column("member_id", Id("mem")), sa.column("created_at", Instant))


def upgrade() -> None:
    op.add_column("members", sa.Column("last_signed_in_at", Instant, nullable=True))
    last = (
        sa.select(sa.func.max(SESSIONS.c.created_at))
        .where(SESSIONS.c.member_id == MEMBERS.c.id)
        .scalar_subquery()
    )
    op.execute(
        sa.update(MEMBERS)
        .where(MEMBERS.c.id.in_(sa.select(SESSIONS.c.member_id)), MEMBERS.c.status != "erased")
        .values(last_signed_in_at=last)
    )


def downgrade() -> None:
    op.drop_column("members", "last_signed_in_at")
