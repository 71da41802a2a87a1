"""Connections to PostgreSQL: how they are made, and what they notice."""

import time
from typing import Any

import psycopg
from psycopg import Error as Error  # noqa: PLC0414 - of the connections made here
from psycopg import errors
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError

from chassis.db import health, retries

# Of a database URL: whether statements that run often are prepared in the server. PgBouncer in
# transaction mode, where every transaction may have another connection, needs ``off``.
PREPARED_STATEMENTS = "prepared_statements"
_NETWORK = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
# Seconds after its last use in which a pooled connection is not checked before it is used again by
# what is repeated if it has ended.
TRUSTED_FOR = 1.0
# Where PostgreSQL reports that a commit no longer waits for a standby. Its text may be translated.
_WAIT_FOR_STANDBY = "SyncRepWaitForLSN"


def create(url: str, pool_size: int) -> Engine:
    """A pool of connections. Raises ValueError if our parameter of the URL is wrong."""
    address, options = _parse(url)
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args=_NETWORK | options,
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _check_unless_just_used)
    event.listen(engine, "handle_error", health.renew_pool_after_failover)
    return engine


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection outside any pool, which commits every statement."""
    address, options = _parse(url)
    _, where = address.get_dialect()().create_connect_args(address)
    return psycopg.connect(**{**where, **_NETWORK, **options}, autocommit=True)


class _Connection(psycopg.Connection[Any]):
    """A connection whose commit fails where PostgreSQL has stored the transaction but stopped
    waiting for a synchronous standby, because someone canceled the wait: after a failover the
    transaction may be gone."""

    in_doubt = False

    def commit(self) -> None:
        super().commit()
        if self.in_doubt:
            self.close()
            raise errors.TransactionResolutionUnknown(
                "the wait for the standby was canceled; the transaction may be lost in a failover"
            )

    def note(self, notice: errors.Diagnostic) -> None:
        """Note what the server reports next to its answers."""
        if notice.source_function == _WAIT_FOR_STANDBY:
            self.in_doubt = True


def _connect(_dialect: Any, _record: Any, args: list[Any], parameters: dict[str, Any]) -> Any:
    connection = _Connection.connect(*args, **parameters)
    connection.add_notice_handler(connection.note)
    return connection


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _check_unless_just_used(connection: Any, record: Any, _proxy: Any) -> None:
    """Have the pool replace its connections if this one has ended."""
    used_at = record.info.get("used_at")
    if used_at is None:  # it is new
        return
    if retries.may_skip_check() and time.monotonic() < used_at + TRUSTED_FOR:
        return
    try:
        connection.autocommit = True  # otherwise it takes a transaction
        connection.execute("SELECT 1")
        connection.autocommit = False
    except psycopg.Error as problem:
        raise InvalidatePoolError() from problem


def _parse(url: str) -> tuple[URL, dict[str, Any]]:
    """The URL without our own parameter, and what that stands for."""
    address = make_url(url)
    prepared = address.query.get(PREPARED_STATEMENTS, "on")
    if prepared not in ("on", "off"):
        raise ValueError(f"{PREPARED_STATEMENTS} in a database URL must be on or off")
    options = {"prepare_threshold": None} if prepared == "off" else {}
    return address.difference_update_query([PREPARED_STATEMENTS]), options
