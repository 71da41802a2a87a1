"""What an error of the database says about it: whether a statement lost to another one, or the
database itself is unavailable."""

from typing import Any

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

LOCK_TIMEOUT = "55P03"
READ_ONLY = "25006"
_TIME_LIMITS = (LOCK_TIMEOUT, "57014")
# Time limits, deadlocks, serialization failures.
_CONTENTION = (*_TIME_LIMITS, "40P01", "40001")
# Connections refused or ended, no resources (disk, memory, connections), shutdown, read-only after
# a failover, errors of the operating system.
_UNAVAILABLE = ("08", "53", "57P", "58", READ_ONLY)


def sqlstate(problem: Any) -> str:
    """PostgreSQL's code for the error, empty on other databases."""
    return getattr(getattr(problem, "orig", None), "sqlstate", None) or ""


def is_contention(problem: Exception) -> bool:
    """Whether the statement took too long or lost to another one. Others may well succeed."""
    return isinstance(problem, DBAPIError) and sqlstate(problem) in _CONTENTION


def is_time_limit(problem: Exception) -> bool:
    """Whether the statement waited too long for a lock, or ran too long."""
    return isinstance(problem, DBAPIError) and sqlstate(problem) in _TIME_LIMITS


def is_unavailable(problem: Exception) -> bool:
    """Whether the database can be reached and written at all: no statement would succeed."""
    if isinstance(problem, PoolTimeout):
        return True
    if not isinstance(problem, DBAPIError):
        return False
    if problem.connection_invalidated or sqlstate(problem).startswith(_UNAVAILABLE):
        return True
    return isinstance(problem, OperationalError | InterfaceError) and not sqlstate(problem)


def renew_pool_after_failover(context: ExceptionContext) -> None:
    """A listener for ``handle_error``: after a failover, pooled connections may lead to a server
    that only reads. All of them are renewed."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
