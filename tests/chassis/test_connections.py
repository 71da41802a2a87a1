"""Connections to PostgreSQL: what a database URL can say, and when the pool is renewed."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from chassis.db import bulk_sql, direct, postgres
from chassis.db.database import Database, ReadOnly
from chassis.db.direct import Statement
from chassis.db.retries import retry_lost_races
from chassis.messaging.relay import Relay
from chassis.runtime import notifications
from devtools import ports
from devtools.servers import Postgres
from sqlalchemy import column, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.chassis.messages import Effect
from tests.chassis.test_relay import FakeBus
from tests.waiting import until

SERVED_BY = Statement(text("SELECT pg_backend_pid() AS pid").columns(column("pid")))
EFFECTS: Any = Effect.__table__


def with_a_dead_host(url: str) -> str:
    """The URL of a server and, before it, of one that does not run."""
    address = make_url(url)
    hosts = [f"127.0.0.1:{ports.free_port()}", f"{address.host}:{address.port}"]
    several = address._replace(host=None, port=None).update_query_dict(
        {"host": hosts, "target_session_attrs": "read-write"}
    )
    return several.render_as_string(hide_password=False)


@pytest.fixture
def one_connection(postgres_database: Database) -> Iterator[Database]:
    made = Database(postgres_database.url, pool_size=1)
    yield made
    made.close()


def test_statements_are_prepared_unless_the_url_says_otherwise(postgres: Postgres) -> None:
    thresholds = {}
    for parameter in ("", "?prepared_statements=on", "?prepared_statements=off"):
        database = Database(postgres.url() + parameter, pool_size=1)
        with database.engine.connect() as connection:
            thresholds[parameter] = connection.connection.driver_connection.prepare_threshold
        database.close()

    assert thresholds.pop("?prepared_statements=off") is None
    assert set(thresholds.values()) == {5}


def test_another_value_is_refused_without_showing_the_url() -> None:
    with pytest.raises(ValueError, match=r"prepared_statements.*on or off") as refused:
        Database("postgresql+psycopg://user:hidden@host/db?prepared_statements=no")

    assert "hidden" not in str(refused.value)


def read(session: Session) -> None:
    direct.rows(session, SERVED_BY, {})


def copy(session: Session) -> None:
    bulk_sql.copy_rows(session, EFFECTS, ["word"], [["copied"]])


def kill(postgres: Postgres, *served_by: int) -> None:
    for pid in served_by:
        postgres.psql(f"SELECT pg_terminate_backend({pid}, 5000);")


@pytest.mark.parametrize("use", [read, copy])
def test_a_transaction_whose_connection_ends_during_a_statement_is_repeated(
    one_connection: Database, postgres: Postgres, use: Callable[[Session], None]
) -> None:
    served_by = []

    def act() -> None:
        with one_connection.transaction() as session:
            [row] = direct.rows(session, SERVED_BY, {})
            served_by.append(row.pid)
            if len(served_by) == 1:
                kill(postgres, row.pid)
            use(session)

    retry_lost_races(act)

    assert len(set(served_by)) == 2


def test_after_a_restart_what_is_repeated_gets_a_connection_that_works(
    postgres_database: Database, postgres: Postgres
) -> None:
    """Both connections of the pool have ended, and were used a moment ago."""
    made = Database(postgres_database.url, pool_size=2)

    def served_by() -> int:
        with made.transaction() as session:
            pid: int = direct.rows(session, SERVED_BY, {})[0].pid
            return pid

    with made.reading() as one, made.reading() as two:
        before = [direct.rows(each, SERVED_BY, {})[0].pid for each in (one, two)]
    kill(postgres, *before)

    assert retry_lost_races(served_by) not in before
    made.close()


def test_after_a_restart_a_single_query_gets_a_connection_that_works(
    postgres_database: Database, postgres: Postgres
) -> None:
    made = Database(postgres_database.url, pool_size=2)
    with direct.connection(made.engine) as one, direct.connection(made.engine) as two:
        before = [*one.rows(SERVED_BY, {}), *two.rows(SERVED_BY, {})]
    kill(postgres, *(row.pid for row in before))

    assert made.rows(SERVED_BY)[0] not in before
    made.close()


def test_one_connection_that_ends_leaves_the_others(
    postgres_database: Database, postgres: Postgres
) -> None:
    made = Database(postgres_database.url, pool_size=2)
    with direct.connection(made.engine) as other:
        [before] = other.rows(SERVED_BY, {})
        with pytest.raises(DBAPIError), direct.connection(made.engine) as ended:
            kill(postgres, ended.rows(SERVED_BY, {})[0].pid)
            ended.rows(SERVED_BY, {})
    with direct.connection(made.engine) as one, direct.connection(made.engine) as two:
        assert before in [*one.rows(SERVED_BY, {}), *two.rows(SERVED_BY, {})]
    made.close()


def test_a_connection_that_cannot_be_used_directly_is_replaced(one_connection: Database) -> None:
    def begin(connection: psycopg.Connection, *_: object) -> None:
        connection.execute("SELECT 1")

    event.listen(one_connection.engine, "checkout", begin)
    with pytest.raises(DBAPIError), direct.connection(one_connection.engine):
        pass
    event.remove(one_connection.engine, "checkout", begin)

    one_connection.check()


def test_every_connection_leads_to_the_host_that_answers(postgres_database: Database) -> None:
    """Those of the pool, and the one for notifications."""
    url = with_a_dead_host(f"{postgres_database.url}?prepared_statements=off")
    pooled, notifying = Database(url, pool_size=1), notifications.database(url, 1)
    relay, stop, woken = Relay(pooled, FakeBus()), threading.Event(), threading.Event()
    relay.wake = woken.set  # type: ignore[method-assign]
    listening = threading.Thread(
        target=notifications.listen,
        args=(url, {notifications.PUBLISHED: relay.wake}, relay, stop),
        daemon=True,
    )
    listening.start()

    def notified() -> bool:
        notifying.on_publish[0]()
        return woken.is_set()

    pooled.check()
    until(notified)
    stop.set()
    listening.join()
    for database in (pooled, notifying):
        database.close()


def becomes_read_only(database: Database) -> None:
    """What the pool has leads to a server that now only reads; a new connection does not."""
    with database.engine.begin() as connection:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))


def test_a_refused_change_renews_the_pool(one_connection: Database) -> None:
    becomes_read_only(one_connection)

    with pytest.raises(DBAPIError, match="read-only"), one_connection.transaction() as session:
        session.add(Effect(word="refused"))

    with one_connection.transaction() as session:
        session.add(Effect(word="stored"))


def test_a_check_that_finds_a_read_only_server_renews_the_pool(one_connection: Database) -> None:
    becomes_read_only(one_connection)

    with pytest.raises(ReadOnly):
        one_connection.check()

    one_connection.check()


def test_a_commit_that_a_standby_may_not_have_is_an_error(
    one_connection: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stores it and reports a warning, for which any other will do here."""
    monkeypatch.setattr(postgres, "_WAIT_FOR_STANDBY", "exec_stmt_raise")
    warn = "DO $$ BEGIN RAISE WARNING 'stopped waiting'; END $$"

    with (
        pytest.raises(DBAPIError, match="wait for the standby") as problem,
        one_connection.transaction() as session,
    ):
        before = session.connection().connection.driver_connection
        session.execute(text(warn))

    assert problem.value.connection_invalidated
    assert isinstance(before, psycopg.Connection) and before.closed
    one_connection.check()
