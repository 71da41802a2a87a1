"""Billing addresses whose mail went to another domain, or that no mail can be sent to, are reported;
owners whose address is verified again are not verified.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from chassis import email_addresses
from chassis.db.columns import Id, Json
from chassis.runtime import log

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LOG = log.get("migrate")
_ORGANIZATIONS = sa.table(
    "organizations",
    sa.column("id", Id("org")),
    sa.column("billing_email"),
    sa.column("owner", Json),
)


def upgrade() -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(_ORGANIZATIONS)).all():
        email, owner = row.billing_email, row.owner or {}
        if email and email_addresses.was_delivered_elsewhere(email):
            _LOG.warning("address.was_elsewhere", organization_id=row.id)
        elif email and not email_addresses.is_valid(email):
            _LOG.warning("address.invalid", organization_id=row.id)
        if email_addresses.was_delivered_elsewhere(owner.get("email") or ""):
            connection.execute(
                sa.update(_ORGANIZATIONS)
                .where(_ORGANIZATIONS.c.id == row.id)
                .values(owner={**owner, "verified": False})
            )


def downgrade() -> None:
    pass  # What was reported stays as it is.
