"""Documents of the providers there are stay unrounded.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Json

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SETTINGS = sa.table(
    "provider_settings",
    sa.column("provider_id", sa.Uuid()),
    sa.column("version", sa.Integer()),
    sa.column("chosen", Json),
    sa.column("applied", Json),
)
_ORGANIZATIONS = sa.table(
    "organizations", sa.column("id", sa.Uuid()), sa.column("kind", sa.String())
)


def upgrade() -> None:
    connection = op.get_bind()
    chosen = {row.provider_id: row.chosen for row in connection.execute(sa.select(_SETTINGS))}
    providers = sa.select(_ORGANIZATIONS.c.id).where(_ORGANIZATIONS.c.kind == "provider")
    for provider_id in connection.scalars(providers).all():
        unrounded = {**chosen.get(provider_id, {}), "document_rounding": "none"}
        if provider_id in chosen:
            change = sa.update(_SETTINGS).where(_SETTINGS.c.provider_id == provider_id)
            connection.execute(change.values(chosen=unrounded))
        else:
            row = {"provider_id": provider_id, "version": 0, "chosen": unrounded, "applied": {}}
            connection.execute(sa.insert(_SETTINGS).values(row))


def downgrade() -> None:
    raise NotImplementedError("settings from before are not known")
