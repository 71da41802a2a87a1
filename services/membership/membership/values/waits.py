"""How long somebody waits after wrong passwords, and when the password is no good any more."""

from datetime import datetime, timedelta

FREE = 4
SHUT = 100
LONGEST = timedelta(seconds=900)


def after(failures: int) -> timedelta:
    """From the fifth failure in a row 1, 2, 4 … 900 seconds."""
    if failures <= FREE:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - FREE - 1, 20)), LONGEST)


def left(failures: int, last_at: datetime, now: datetime) -> int:
    """Whole seconds still to wait, 0 when none. After so many failures there is no end but a new password."""
    if failures >= SHUT:
        return int(LONGEST.total_seconds())
    seconds = (last_at + after(failures) - now).total_seconds()
    return max(0, int(-(-seconds // 1)))
