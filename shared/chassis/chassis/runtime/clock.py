"""The clock. Views, listeners and jobs read it and pass ``now`` to the actions."""

from datetime import UTC, datetime


def now() -> datetime:
    """This instant in UTC, with microseconds."""
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """An instant in the format of API and messages: ``2026-01-31T09:00:00.000000Z``."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
