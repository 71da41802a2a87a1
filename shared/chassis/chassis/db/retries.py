"""Running a transaction again after it lost a race in the database."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from chassis.db.health import sqlstate

T = TypeVar("T")
ATTEMPTS = 5
# Serialization failure, deadlock, and a unique key that another transaction inserted first.
_LOST_RACE = ("40001", "40P01", "23505")


def retry_lost_races(transact: Callable[[], T]) -> T:
    """What ``transact`` returns; it runs again, up to five times in all, when it loses a race. No
    pause in between: the winner has committed by then."""
    for _ in range(ATTEMPTS - 1):
        try:
            return transact()
        except DBAPIError as problem:
            if sqlstate(problem) not in _LOST_RACE:
                raise
    return transact()
