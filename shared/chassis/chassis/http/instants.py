"""Reading instants strictly, as RFC 3339 writes them."""

import re
from datetime import UTC, datetime

MAX_LENGTH = 64
# Far outside what any caller accepts; what cannot be represented is read as this.
NEVER = datetime.min.replace(tzinfo=UTC)
_RFC_3339 = re.compile(
    r"(?P<year>[0-9]{4})(?P<day>-[0-9]{2}-[0-9]{2})[Tt]"
    r"(?P<minute>[0-9]{2}:[0-9]{2}):(?P<second>[0-5][0-9]|60)(?P<fraction>\.[0-9]+)?"
    r"(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LEAP_SECOND = "60"


def read(text: str) -> datetime:
    """The instant in UTC, cut to microseconds; NEVER if it is well-formed but datetime cannot
    represent it: before the year 1, after 9999, a leap second.

    Raises ValueError if it is not well-formed or longer than 64 characters."""
    match = _RFC_3339.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise ValueError(text[:MAX_LENGTH])
    is_leap = match["second"] == _LEAP_SECOND
    second = "59" if is_leap else match["second"]
    # Year 0, which datetime does not have, is a leap year like 2000.
    year = "2000" if match["year"] == "0000" else match["year"]
    local = f"{year}{match['day']}T{match['minute']}:{second}{match['fraction'] or ''}"
    instant = datetime.fromisoformat(local + match["offset"].upper())
    try:
        instant = instant.astimezone(UTC)
    except OverflowError:
        return NEVER
    if is_leap and f"{instant:%H:%M}" != "23:59":
        raise ValueError(text)
    return NEVER if is_leap or year != match["year"] else instant
