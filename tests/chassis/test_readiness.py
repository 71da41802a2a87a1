"""Whether a role works: what its database and its schema say, and how checks are made. What its
threads say: test_progress.py."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chassis.db import schema
from chassis.db.database import Database
from chassis.errors import Unavailable
from chassis.messaging.backlog import Backlog
from chassis.runtime import log, roles, web_server
from chassis.runtime.readiness import NotReady, Progress, Readiness, kept, name_of, report
from chassis.runtime.service import Service
from chassis.runtime.settings import ServiceSettings
from org.app import SERVICE
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.databases import PreparedDatabases, schema_of
from tests.waiting import until


class Now:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


def reason(check: Callable[[], None]) -> str:
    """What the check says; empty if it passes."""
    try:
        check()
    except NotReady as problem:
        return str(problem)
    return ""


def test_a_thread_works_while_it_succeeds_often_enough(now: Now) -> None:
    progress = Progress(60, now)
    progress.succeeded()
    now.seconds += 60
    assert reason(progress.check) == ""

    now.seconds += 1
    assert reason(progress.check).startswith("no success since 20")

    progress.succeeded()
    assert reason(progress.check) == ""


def test_a_thread_that_never_succeeded_does_not_work(now: Now) -> None:
    progress = Progress(60, now)

    assert reason(progress.check) == "no success yet"


def test_the_last_error_is_the_reason_and_a_single_one_is_none(now: Now) -> None:
    progress = Progress(60, now)
    progress.succeeded()
    progress.failed(ConnectionError("amqp://user:password@host"))
    assert reason(progress.check) == ""

    now.seconds += 61
    assert reason(progress.check).endswith(": ConnectionError")

    progress.succeeded()
    now.seconds += 61
    assert "ConnectionError" not in reason(progress.check), "that one is over"


def test_an_error_of_the_database_is_named_by_its_kind_alone() -> None:
    class ReadOnlySqlTransaction(Exception):
        pass

    problem = OperationalError("INSERT", {"secret": 1}, ReadOnlySqlTransaction("secret"))

    assert name_of(problem) == "ReadOnlySqlTransaction"


def test_an_outcome_is_kept_for_some_seconds(now: Now) -> None:
    made: list[int] = []
    readiness = Readiness({"thing": lambda: made.append(1)}, keep=5, now=now)

    assert [readiness.outcome() for _ in range(3)] == [{"thing": "ok"}] * 3
    assert len(made) == 1

    now.seconds += 5
    readiness.outcome()
    assert len(made) == 2


def test_what_is_not_ready_is_checked_again_soon(now: Now) -> None:
    progress = Progress(now=now)
    readiness = Readiness({"thing": progress.check}, keep=5, now=now)

    assert readiness.outcome() == {"thing": "no success yet"}
    progress.succeeded()
    assert readiness.outcome() == {"thing": "no success yet"}
    now.seconds += 0.5
    assert readiness.outcome() == {"thing": "ok"}


def test_only_the_success_of_a_costly_check_is_kept(now: Now) -> None:
    made: list[int] = []

    def costly() -> None:
        made.append(1)
        if len(made) == 1:
            raise ConnectionError

    check = kept(costly, 60, now)
    with pytest.raises(ConnectionError):
        check()

    check()
    check()
    assert len(made) == 2
    now.seconds += 60
    check()
    assert len(made) == 3


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Set it to let a check end that hangs."""
    event = threading.Event()
    yield event
    event.set()


def test_a_check_that_hangs_is_made_once_and_hides_no_other(
    now: Now, hanging: threading.Event
) -> None:
    made: list[int] = []

    def hang() -> None:
        made.append(1)
        hanging.wait()

    readiness = Readiness({"hangs": hang, "works": lambda: None}, keep=0, patience=0.01, now=now)

    outcomes = [readiness.outcome() for _ in range(3)]

    assert outcomes == [{"hangs": "no answer within 0 s", "works": "ok"}] * 3
    assert len(made) == 1
    hanging.set()
    until(lambda: readiness.outcome()["hangs"] == "ok")


def test_while_one_waits_for_the_checks_others_get_the_outcome_before(
    now: Now, hanging: threading.Event
) -> None:
    entered = threading.Event()
    is_first = [True]

    def hang() -> None:
        if is_first.pop():
            is_first.append(False)
        else:
            entered.set()
            hanging.wait()
            raise ConnectionError

    readiness = Readiness({"thing": hang}, keep=0, patience=60, now=now)
    readiness.outcome()
    waiting = threading.Thread(target=readiness.outcome)
    waiting.start()
    entered.wait(60)

    assert readiness.outcome() == {"thing": "ok"}, "although that check hangs now"
    hanging.set()
    waiting.join()


def test_what_is_only_reported_does_not_count() -> None:
    checks, others = {"thing": "ok"}, {"other": "ConnectionError"}

    assert report(checks, others) == ({"status": "ok", "checks": checks, "others": others}, 200)
    assert report(others, checks)[1] == 503
    assert "others" not in report(checks)[0]


def test_the_message_that_is_the_oldest_for_long_is_stuck(now: Now) -> None:
    backlog = Backlog(300, now)
    backlog.selected(["evt_1", "evt_2"], with_returned=False)
    now.seconds += 300
    backlog.selected(["evt_1", "evt_2", "evt_3"], with_returned=False)
    assert reason(backlog.check) == ""

    now.seconds += 1
    assert reason(backlog.check) == "evt_1 could not be sent for 5 minutes"

    backlog.selected(["evt_2", "evt_3"], with_returned=False)
    assert reason(backlog.check) == "", "it goes on"


def test_a_returned_message_is_stuck_until_it_is_tried_again_and_sent() -> None:
    backlog = Backlog()
    backlog.selected(["evt_1", "evt_2"], with_returned=True)
    backlog.tried({"evt_1": "NO_ROUTE", "evt_2": "NO_ROUTE"}, with_returned=True)
    assert reason(backlog.check) == "returned by the broker: evt_1 (NO_ROUTE) and 1 more"

    backlog.selected([], with_returned=False)
    assert reason(backlog.check) != "", "they are not tried each time"

    backlog.selected(["evt_1"], with_returned=True)
    assert reason(backlog.check) == "returned by the broker: evt_1 (NO_ROUTE)"

    backlog.tried({}, with_returned=True)
    assert reason(backlog.check) == ""


@pytest.fixture
def migrated_database(
    request: pytest.FixtureRequest, prepared_databases: PreparedDatabases
) -> Database:
    """Org's, as the service itself logs in."""
    postgres = request.getfixturevalue("postgres")
    return prepared_databases.opened(schema_of(SERVICE), postgres, 2)


@pytest.fixture
def owner(
    request: pytest.FixtureRequest, prepared_databases: PreparedDatabases
) -> Iterator[Callable[[str], None]]:
    """Runs a statement as the owner of that database."""
    postgres = request.getfixturevalue("postgres")
    database = Database(prepared_databases.urls(schema_of(SERVICE), postgres).owner_url)

    def execute(statement: str) -> None:
        with database.engine.begin() as connection:
            connection.execute(text(statement))

    yield execute
    for table, folder in TABLES.items():
        execute(f"UPDATE {table} SET version_num = '{schema.head(folder)}'")
    database.close()


TABLES = {"alembic_version": SERVICE.migrations, "alembic_version_chassis": schema.CHASSIS}


def test_a_reason_of_ours_is_logged_in_a_line_and_an_error_with_its_traceback() -> None:
    def not_yet() -> None:
        raise NotReady("no success yet")

    def unavailable() -> None:
        raise Unavailable("Not ready: 503.", code="service_unavailable")

    def broken() -> None:
        raise RuntimeError("broken")

    with capture_logs() as captured:
        Readiness({"ours": not_yet, "service": unavailable, "other": broken}).outcome()

    lines = {line["check"]: (line["error"], bool(line["exc_info"])) for line in captured}
    assert lines == {
        "ours": ("NotReady: no success yet", False),
        "service": ("Unavailable: Not ready: 503.", False),
        "other": ("RuntimeError: broken", True),
    }


@pytest.mark.parametrize("table", TABLES)
def test_a_schema_that_is_older_than_the_code_is_not_ready_and_a_newer_one_is(
    migrated_database: Database, owner: Callable[[str], None], table: str
) -> None:
    needed = schema.head(TABLES[table])
    check = schema.check(migrated_database, SERVICE.migrations)
    assert reason(check) == ""

    owner(f"UPDATE {table} SET version_num = '0001'")
    assert reason(check) == f"{table} is 0001, the code needs {needed}: run migrate"

    owner(f"UPDATE {table} SET version_num = '9999'")
    assert reason(check) == ""


def test_an_empty_database_is_not_ready(database: Database) -> None:
    check = schema.check(database, SERVICE.migrations)

    assert "is 0000, the code needs" in reason(check)


def test_a_service_without_tables_of_the_chassis_needs_none(
    migrated_database: Database, owner: Callable[[str], None]
) -> None:
    owner("UPDATE alembic_version_chassis SET version_num = '0001'")

    assert reason(schema.check(migrated_database, SERVICE.migrations, shared=False)) == ""


def test_every_role_checks_that_its_database_can_be_written_and_is_new_enough(
    migrated_database: Database, owner: Callable[[str], None]
) -> None:
    owner("UPDATE alembic_version SET version_num = '0001'")

    outcome = Readiness(SERVICE.checks(migrated_database)).outcome()

    assert outcome["database"] == "ok"
    assert outcome["schema"].endswith("run migrate")


def test_a_web_process_whose_threads_all_use_the_database_is_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its readiness file is noted by one more thread."""
    opened: list[Database] = []
    monkeypatch.setattr(Service, "create_app", lambda _service, _settings, database, _: database)
    monkeypatch.setattr(log, "start", lambda *_, **__: None)
    monkeypatch.setattr(web_server, "serve", lambda build, _settings: opened.append(build()))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    monkeypatch.setenv("WEB_THREADS", "2")

    roles.web(replace(SERVICE, settings=ServiceSettings, upstreams={}))

    [database] = opened
    with database.engine.connect(), database.engine.connect():
        database.check()
    database.close()
