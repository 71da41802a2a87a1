"""The words of support receipts: what staff changed, when, and why the session ended."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from membership.values.support import (
    BY_CUSTOMER,
    BY_PROVIDER,
    EXPIRED,
    MEMBER_CHANGED,
    ORGANIZATION_CHANGED,
    STAFF_SESSION_ENDED,
    STOPPED,
)

WHY = {
    STOPPED: "support ended the session",
    EXPIRED: "it expired",
    STAFF_SESSION_ENDED: "support signed out",
    MEMBER_CHANGED: "the member was changed",
    ORGANIZATION_CHANGED: "the organization was changed",
    BY_CUSTOMER: "your organization ended it",
    BY_PROVIDER: "your provider ended it",
}
MAX_LENGTH = 200


def moment(at: datetime) -> str:
    """An instant as people read it."""
    return f"{at.date()} {at:%H:%M} UTC"


def duration(minutes: int) -> str:
    """A duration in the largest unit that divides it."""
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= size and minutes % size == 0:
            return _counted(minutes // size, unit)
    return _counted(minutes, "minute")


def changes(rows: Iterable[dict[str, Any]], left_out: int) -> str:
    """The audit records, with each changed field before and after on a line of its own."""
    lines = [line for row in rows for line in _lines(row)]
    if left_out:
        entries = _counted(left_out, "more entry", "more entries")
        lines.append(f"and {entries}: see your audit log.")
    return "\n".join(lines) or "Nothing was changed."


def _lines(row: dict[str, Any]) -> list[str]:
    at = datetime.fromisoformat(row["at"])
    action = row["action"].replace(".", " ").replace("_", " ").capitalize()
    lines = [f"{at:%H:%M:%S} {action}: {_plain(row['target'].get('label', ''))}"]
    for change in row["changes"]:
        lines += _differences(**change)
    return lines


def _differences(field: str, before: Any = None, after: Any = None) -> list[str]:
    """A line for each changed value; of an object only the members that differ."""
    pairs = [(field, before, after)]
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted({*before, *after})
        pairs = [(f"{field}.{name}", before.get(name), after.get(name)) for name in names]
    return [f"  {name}: {_plain(old)} -> {_plain(new)}" for name, old, new in pairs if old != new]


def _plain(value: Any) -> str:
    """The value on one line, so that nothing in it can pass for a part of the email."""
    text = " ".join(str("empty" if value in (None, "") else value).split())
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]} ..."


def _counted(number: int, singular: str, plural: str = "") -> str:
    if number == 1:
        return f"{number} {singular}"
    return f"{number} {plural or singular + 's'}"
