"""Running a transaction again after it lost a race in the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from chassis.db.health import sqlstate

T = TypeVar("T")
ATTEMPTS = 5
# Serialization failure, deadlock, and a unique key that another transaction inserted first.
_LOST_RACE = ("40001", "40P01", "23505")
_IS_REPEATED: ContextVar[bool] = ContextVar("is_repeated", default=False)


@contextmanager
def unchecked_connections() -> Iterator[None]:
    """Connections that were used a moment ago are not checked in this block: what loses its
    connection here is done again."""
    token = _IS_REPEATED.set(True)
    try:
        yield
    finally:
        _IS_REPEATED.reset(token)


def may_skip_check() -> bool:
    """Whether this is such a block: a connection need not be checked before it is used."""
    return _IS_REPEATED.get()


def retry_lost_races(transact: Callable[[], T]) -> T:
    """What ``transact`` returns; it runs again, up to five times in all, when it loses a race, and
    once when it loses its connection before the commit. No pause in between: the winner has
    committed by then."""
    has_lost_connection = False
    for _ in range(ATTEMPTS - 1):
        try:
            with nullcontext() if has_lost_connection else unchecked_connections():
                return transact()
        except DBAPIError as problem:
            if sqlstate(problem) in _LOST_RACE:
                continue
            is_commit = problem.statement is None
            if is_commit or has_lost_connection or not problem.connection_invalidated:
                raise
            has_lost_connection = True
    return transact()
