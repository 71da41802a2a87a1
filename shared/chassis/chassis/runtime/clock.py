"""The one clock. Doors read it and hand ``now`` inward."""

from datetime import UTC, datetime


def now() -> datetime:
    """This instant, UTC, in microseconds."""
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """An instant as it crosses the wire: ``2026-01-31T09:00:00.000000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
