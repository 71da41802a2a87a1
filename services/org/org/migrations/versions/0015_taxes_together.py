"""Taxes of a country apply together.

So that each day keeps the tax it had, a rate of another name that replaced an earlier one is joined
by a zero rate that ends the earlier name.

Revision ID: 0015
Revises: 0014
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import Json

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_SETTINGS = sa.table(
    "provider_settings",
    sa.column("provider_id", sa.Uuid()),
    sa.column("chosen", Json),
)


def upgrade() -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(_SETTINGS)).all():
        if "tax_rates" in row.chosen:
            chosen = {**row.chosen, "tax_rates": joined_rates(row.chosen["tax_rates"])}
            change = sa.update(_SETTINGS).where(_SETTINGS.c.provider_id == row.provider_id)
            connection.execute(change.values(chosen=chosen))


def joined_rates(rates: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Rates by which each day has the one tax that it had: of each country the latest row applied,
    and of two from the same day the first one."""
    joined: list[Mapping[str, str]] = []
    order = itemgetter("country", "valid_from")
    for country, rows in groupby(sorted(rates, key=order), itemgetter("country")):
        before = None
        for day, same_day in groupby(rows, itemgetter("valid_from")):
            row = next(same_day)
            joined.append(row)
            if before is not None and before != row["name"]:
                end = {"country": country, "name": before, "rate": "0", "valid_from": day}
                joined.append(end)
            before = row["name"]
    return joined


def downgrade() -> None:
    raise NotImplementedError("settings from before are not known")
