"""What staff did inside, in words."""

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
    STOPPED: "they left",
    EXPIRED: "the time was over",
    STAFF_SESSION_ENDED: "they signed out",
    MEMBER_CHANGED: "the member was changed",
    ORGANIZATION_CHANGED: "the organization was changed",
    BY_CUSTOMER: "you ended it",
    BY_PROVIDER: "the provider ended it",
}
LONGEST = 200


def moment(at: datetime) -> str:
    """An instant for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def lasting(minutes: int) -> str:
    """A time in the largest unit that fits."""
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= size and minutes % size == 0:
            return _counted(minutes // size, unit)
    return _counted(minutes, "minute")


def told(rows: Iterable[dict[str, Any]], left_out: int) -> str:
    """Each change in lines of its own, before and after."""
    lines = [line for row in rows for line in _lines(row)]
    if left_out:
        lines.append(f"and {_counted(left_out, 'more entry', 'more entries')}: see your audit.")
    return "\n".join(lines) or "Nothing was changed."


def _lines(row: dict[str, Any]) -> list[str]:
    at = datetime.fromisoformat(row["at"])
    changes = [line for change in row["changes"] for line in _differences(**change)]
    return [f"{at:%H:%M:%S} {row['action']}: {_plain(row['target'].get('label', ''))}", *changes]


def _differences(field: str, before: Any = None, after: Any = None) -> list[str]:
    """Only what differs, where a part of parts was changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted({*before, *after})
        pairs = [(f"{field}.{name}", before.get(name), after.get(name)) for name in names]
    else:
        pairs = [(field, before, after)]
    return [f"  {name}: {_plain(old)} -> {_plain(new)}" for name, old, new in pairs if old != new]


def _plain(value: Any) -> str:
    """In one line, whatever it is, so that nothing in it looks like a part of the letter."""
    text = " ".join(str("nothing" if value in (None, "") else value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _counted(number: int, unit: str, several: str = "") -> str:
    return f"{number} {unit if number == 1 else several or unit + 's'}"
