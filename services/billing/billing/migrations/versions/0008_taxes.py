"""Documents know each tax that they contain, and what they were rounded by.

Those of the providers there are stay unrounded.

Tax rates now apply together, by name. So that each day keeps the rate it had, a row of another name
that replaced an earlier one is joined by a zero rate that ends the earlier name.

Revision ID: 0008
Revises: 0007
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_JSON = chassis.db.columns.Json


def upgrade() -> None:
    op.add_column("journal", sa.Column("supplied_on", sa.Date(), nullable=True))
    for name in ("invoices", "credit_notes"):
        op.add_column(
            name,
            sa.Column(
                "rounding", chassis.db.columns.BigInt, nullable=False, server_default=sa.text("0")
            ),
        )
        op.add_column(name, sa.Column("taxes", _JSON, nullable=False, server_default="[]"))
    op.add_column("credit_notes", sa.Column("about", _JSON, nullable=True))
    _fill_taxes()
    with op.batch_alter_table("credit_notes") as table:
        table.drop_constraint(op.f("ck_credit_notes_amount"), type_="check")
        table.create_check_constraint(op.f("ck_credit_notes_amount"), "amount > 0")
    with op.batch_alter_table("invoices") as table:
        table.drop_constraint(op.f("ck_invoices_total"), type_="check")
        table.create_check_constraint(op.f("ck_invoices_total"), "total > 0")
        table.drop_column("tax_name")
        table.drop_column("tax_rate")
    _change_settings()


def _fill_taxes() -> None:
    """Until now an invoice had one tax, at one rate."""
    invoices, notes = _table("invoices"), _table("credit_notes")
    of_invoice = _one_tax(invoices, invoices.c.total - invoices.c.tax, invoices.c.tax)
    op.execute(sa.update(invoices).where(invoices.c.tax != 0).values(taxes=of_invoice))
    of_note = _one_tax(invoices, notes.c.amount - notes.c.tax, notes.c.tax)
    is_of_invoice = sa.and_(
        invoices.c.organization_id == notes.c.organization_id, invoices.c.id == notes.c.invoice_id
    )
    op.execute(sa.update(notes).where(is_of_invoice, notes.c.tax != 0).values(taxes=of_note))


def _one_tax(
    invoices: sa.Table, taxable: sa.ColumnElement[int], tax: sa.ColumnElement[int]
) -> sa.ColumnElement[str]:
    names = {
        "name": invoices.c.tax_name,
        "rate": invoices.c.tax_rate,
        "taxable": taxable,
        "tax": tax,
    }
    pairs = [
        part for name, value in names.items() for part in (sa.literal_column(f"'{name}'"), value)
    ]
    if op.get_bind().dialect.name == "postgresql":
        return sa.func.jsonb_build_array(sa.func.jsonb_build_object(*pairs))
    return sa.func.json_array(sa.func.json_object(*pairs))


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def _change_settings() -> None:
    providers = _table("providers")
    settings = sa.column("settings", _JSON)
    stored = sa.select(providers.c.id, settings).select_from(providers)
    for provider in op.get_bind().execute(stored).all():
        changed = {**provider.settings, "document_rounding": "none"}
        if "tax_rates" in changed:
            changed["tax_rates"] = joined_rates(changed["tax_rates"])
        update = sa.update(providers).where(providers.c.id == provider.id)
        op.execute(update.values({"settings": sa.type_coerce(changed, _JSON)}))


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
    raise NotImplementedError("an invoice with several taxes has no single one")
