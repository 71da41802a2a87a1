"""How long somebody waits after wrong guesses, and when a password is no good any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

FREE = 4
SHUT = 100
LONGEST = timedelta(seconds=900)
KNOWN_FOR = timedelta(
    days=30
)  # for so long a client address stays one that somebody has logged in from
CODE_TRIES, CODE_SHUT = 5, timedelta(minutes=15)


@dataclass(frozen=True)
class Limit:
    """So many wrong guesses within this time; whoever has made them rests for as long."""

    most: int
    within: timedelta


Limits = Mapping[str, Limit]  # by the key they are counted under


def of_logins(client: bytes, *, in_5_minutes: int, in_an_hour: int) -> Limits:
    """What holds for wrong passwords and codes from one network, whoever they are for."""
    return {
        f"login 5m {client.hex()}": Limit(in_5_minutes, timedelta(minutes=5)),
        f"login 1h {client.hex()}": Limit(in_an_hour, timedelta(hours=1)),
    }


def of_look_ups(client: bytes) -> Limits:
    """What holds for tokens from one network that lead nowhere."""
    return {f"look-up 1m {client.hex()}": Limit(30, timedelta(minutes=1))}


def after(failures: int) -> timedelta:
    """From the fifth failure in a row 1, 2, 4 … 900 seconds."""
    if failures <= FREE:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - FREE - 1, 20)), LONGEST)


def left(failures: int, last_at: datetime, now: datetime) -> int:
    """Whole seconds still to wait, 0 when none. After so many failures there is no end but a new
    password."""
    if failures >= SHUT:
        return int(LONGEST.total_seconds())
    return until(last_at + after(failures), now) if failures > FREE else 0


def until(then: datetime, now: datetime) -> int:
    """Whole seconds until then, 0 once it is past."""
    return max(0, int(-(-(then - now).total_seconds() // 1)))
