"""Days in the customer's time zone, and the instants of the API."""

from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from zoneinfo import ZoneInfo


def begins(day: str, zone: str, *, plus: int = 0) -> str:
    """The instant at which this day, or one some days later, begins there. Raises ValueError if it
    is not a date."""
    try:
        at = datetime.combine(
            date.fromisoformat(day) + timedelta(days=plus), time(), ZoneInfo(zone)
        ).astimezone(UTC)
    except OverflowError as problem:
        raise ValueError(day) from problem
    return at.isoformat().replace("+00:00", "Z")


def day_of(stamp: str, zone: str) -> date:
    """The day there at an instant."""
    return datetime.fromisoformat(stamp).astimezone(ZoneInfo(zone)).date()


def last_day(ends_at: str, zone: str) -> date:
    """The last day on which something that expires at this instant is still valid."""
    return (
        (datetime.fromisoformat(ends_at) - timedelta(microseconds=1))
        .astimezone(ZoneInfo(zone))
        .date()
    )


def late(due_on: str, now: str, zone: str) -> int:
    """How many days after its due date something is; not late below one."""
    return (day_of(now, zone) - date.fromisoformat(due_on)).days


def text(day: date) -> str:
    """``23 Nov 2026``."""
    return f"{day.day} {day:%b} {day.year:04}"


def left(until: str, now: datetime) -> str:
    """The time until an instant in days, of which the last one counts as a whole one."""
    rest = datetime.fromisoformat(until) - now
    if rest < timedelta(days=1):
        return "less than a day" if rest > timedelta(0) else "due now"
    return count(ceil(rest / timedelta(days=1)))


def count(days: int) -> str:
    """``1 day``, ``1,250 days``."""
    return f"{days:,} {'day' if days == 1 else 'days'}"


def are_reversed(first: str | None, last: str | None) -> bool:
    """Whether both are dates and the first one is the later."""
    try:
        return date.fromisoformat(first or "") > date.fromisoformat(last or "")
    except ValueError:
        return False
