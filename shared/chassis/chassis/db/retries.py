"""Running a transaction again after it lost a race in the database."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from chassis.db.health import sqlstate

T = TypeVar("T")
ATTEMPTS = 5
# Serialization failure, deadlock, and a unique key that another transaction inserted first.
_LOST_RACE = ("40001", "40P01", "23505")


def retry_lost_races(transact: Callable[[], T], *, is_repeatable: bool = False) -> T:
    """What ``transact`` returns; it runs again, up to five times in all, when it loses a race, or
    its connection before the commit. No pause in between: the winner has committed by then.

    ``is_repeatable``: it may run again even if it is unknown whether its commit succeeded.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return transact()
        except DBAPIError as problem:
            if not (
                sqlstate(problem) in _LOST_RACE or _has_lost_connection(problem, is_repeatable)
            ):
                raise
    return transact()


def _has_lost_connection(problem: DBAPIError, is_repeatable: bool) -> bool:
    is_commit = problem.statement is None
    return problem.connection_invalidated and (is_repeatable or not is_commit)
