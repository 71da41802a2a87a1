"""Every text column of every service is named as personal or not."""

from importlib import import_module

import pytest
import sqlalchemy as sa
from chassis.db.columns import Base
from org.models import FIELDS

from tests.house import personal
from tests.house.personal import Columns
from tests.house.workspace import WITH_DATA, listed

# The tables of the chassis are known once their modules are imported.
CHASSIS_MODULES = (
    "chassis.audit",
    "chassis.http.idempotency",
    "chassis.messaging.inbox_models",
    "chassis.messaging.outbox",
    "chassis.messaging.relay",
)
OWNERS = ["chassis", *(service.name for service in WITH_DATA)]


def metadata_of(owner: str) -> sa.MetaData:
    if owner == "chassis":
        for module in CHASSIS_MODULES:
            import_module(module)
        return Base.metadata
    metadata: sa.MetaData = import_module(f"{owner}.models").Base.metadata
    return metadata


def mismatches(
    owner: str, metadata: sa.MetaData, named: dict[tuple[str, str], Columns]
) -> list[str]:
    """Text columns that are not named, named twice, or named and gone."""
    known = {table.name: personal.text_columns(table) for table in metadata.tables.values()}
    tables = {table for table in known if known[table]} | {t for o, t in named if o == owner}
    problems = []
    for table in sorted(tables):
        columns = named.get((owner, table), Columns(frozenset(), frozenset()))
        existing = known.get(table, set())
        both = columns.personal | columns.other
        problems += [f"{owner}.{table}.{name} is not named" for name in sorted(existing - both)]
        problems += [f"{owner}.{table}.{name} is gone" for name in sorted(both - existing)]
        twice = sorted(columns.personal & columns.other)
        problems += [f"{owner}.{table}.{name} is named twice" for name in twice]
    return problems


@pytest.mark.parametrize("owner", OWNERS)
def test_every_text_column_is_named_as_personal_or_not(owner: str) -> None:
    broken = mismatches(owner, metadata_of(owner), personal.NAMED)

    assert not broken, listed(broken)


def test_the_personal_fields_of_an_organization_are_declared_as_such() -> None:
    declared = {
        column.name for field in FIELDS.values() if field.personal for column in field.columns
    }
    computed = {"search"}

    assert personal.NAMED["org", "organizations"].personal == declared | computed


def test_a_new_and_a_removed_text_column_are_noticed() -> None:
    metadata = sa.MetaData()
    sa.Table("things", metadata, sa.Column("id", sa.Integer), sa.Column("remark", sa.Text))
    named = personal.parse("planted.things | gone | ")

    assert mismatches("planted", metadata, named) == [
        "planted.things.remark is not named",
        "planted.things.gone is gone",
    ]
