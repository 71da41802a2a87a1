"""Taking the names out of audit rows."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from chassis.auth.actor import SYSTEM

ERASED = "Erased"
NAMING_PARTS = ("actor", "target", "changes")
_BATCH = 500
# What is left of an actor and a target. The hash of each row covers it: another key here breaks
# every chain.
_KEPT_KEYS = ("kind", "type", "id", "label", "acting", "sub", "org", "sid", "mode", "access")


def without_names(part: Any) -> Any:
    """What is left of an actor, a target or changes: ids and kinds, and which fields were
    changed."""
    if isinstance(part, list):
        return [{"field": change.get("field")} for change in part]
    left = {}
    for key, value in part.items():
        if key not in _KEPT_KEYS:
            continue
        if key == "label":
            left[key] = value if part.get("kind") == SYSTEM.kind else ERASED
        else:
            left[key] = without_names(value) if isinstance(value, dict) else value
    return left


def stripped(row: Any) -> dict[str, Any]:
    """The columns of an audit row that erasing changes, as they are afterwards."""
    parts = {part: without_names(getattr(row, part)) for part in NAMING_PARTS}
    return {**parts, "reason": None, "erased": True}


def strip(row: Any) -> None:
    """Take the names out of a row that is not in the database yet."""
    for part, value in stripped(row).items():
        setattr(row, part, value)


def erase_rows(session: Session, table: Any, organization_id: str, **cleared: None) -> None:
    """Take the names out of the organization's rows of a table with the columns of an audit row;
    ``cleared``: columns to empty as well."""
    named = select(table.id).where(
        table.organization_id == organization_id, table.erased.is_(False)
    )
    row_ids = session.scalars(named).all()
    for start in range(0, len(row_ids), _BATCH):
        batch = select(table.id, table.actor, table.target, table.changes).where(
            table.id.in_(row_ids[start : start + _BATCH])
        )
        rows = session.execute(batch).all()
        session.execute(update(table), [{"id": row.id, **stripped(row), **cleared} for row in rows])
