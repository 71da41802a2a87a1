"""Messages that wait for long are reported, with the oldest one."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.messaging import delays
from chassis.messaging.inbox_models import WaitingMessage
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import clock, ids
from contracts import billing
from org.app import SERVICE
from sqlalchemy import text, update
from structlog.testing import capture_logs

from tests.chassis.messages import publish_opened

pytestmark = pytest.mark.both_databases


def reported(database: Database, *, after: float) -> list[Any]:
    """What the job logs that many seconds from now."""
    [job] = [job for job in SERVICE.all_jobs() if job.name == "report_delays"]
    with capture_logs() as lines:
        assert job.run(database, clock.now() + timedelta(seconds=after), None) == 0
    return lines


def let_wait(database: Database, error: str = "locked", message_id: str = "") -> str:
    """A message that waits to be applied."""
    message_id = message_id or ids.new("evt")
    with database.transaction() as session:
        session.add(
            WaitingMessage(
                id=message_id,
                source="billing",
                aggregate=message_id,
                version=1,
                type=billing.AccountOpened.TYPE,
                body=b"{}",
                attempts=3,
                due_at=clock.now() + timedelta(hours=1),
                error=error,
            )
        )
    return message_id


def test_the_oldest_unsent_message_is_reported(database: Database) -> None:
    sent, oldest, *_ = publish_opened(database, *(ids.new("org") for _ in range(20)))
    with database.transaction() as session:
        row = update(OutboxRow).where(OutboxRow.id == sent)
        session.execute(row.values(published_at=clock.now()))
        row = update(OutboxRow).where(OutboxRow.id == oldest)
        session.execute(row.values(unsendable="refused"))

    [line] = reported(database, after=600)

    assert (line["event"], line["message_id"]) == ("outbox.delayed", oldest)
    assert (line["type"], line["reason"]) == (billing.AccountOpened.TYPE, "refused")
    assert line["seconds"] >= 600


def test_the_oldest_waiting_message_is_reported(database: Database) -> None:
    oldest = let_wait(database, "a row is locked")
    let_wait(database)

    [line] = reported(database, after=600)

    assert (line["event"], line["message_id"]) == ("inbox.delayed", oldest)
    assert (line["attempts"], line["reason"]) == (3, "a row is locked")
    assert line["seconds"] >= 600


def test_messages_of_the_last_minute_are_not_reported(database: Database) -> None:
    publish_opened(database, ids.new("org"))
    let_wait(database)

    assert reported(database, after=30) == []
    assert {line["event"] for line in reported(database, after=90)} == {
        "outbox.delayed",
        "inbox.delayed",
    }


def test_the_job_reads_only_the_first_row_of_an_index(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.reading() as session:
        if not database.is_sqlite:  # the tables are empty, where other plans are as cheap
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_sort = off"))
        for statement, index in (
            (delays._OLDEST_UNSENT, "ix_outbox_unsent"),
            (delays._OLDEST_WAITING, "waiting_messages"),
        ):
            sql = statement.compile(database.engine, compile_kwargs={"literal_binds": True})
            plan = " ".join(str(row) for row in session.execute(text(f"{explain}{sql}")))
            assert index in plan
            assert "Seq Scan" not in plan and "SCAN outbox" not in plan, plan


@pytest.mark.parametrize(
    "number",
    [
        "ffffffff-ffff-4fff-bfff-ffffffffffff",
        "00000000-0000-4000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
    ],
    ids=["random, past the year 9999", "random, early", "past the year 9999"],
)
def test_ids_that_do_not_tell_their_time_hide_no_other_message(
    database: Database, number: str
) -> None:
    let_wait(database, message_id=ids.of_uuid("evt", uuid.UUID(number)))
    assert reported(database, after=600) == []
    oldest = let_wait(database)

    [line] = reported(database, after=600)

    assert (line["event"], line["message_id"]) == ("inbox.delayed", oldest)
