"""What fails is retried, then dead-lettered, while other aggregates continue."""

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.messaging.inbox import MAX_CRASHES, RETRY_AFTER, Envelope
from chassis.messaging.inbox_models import DeadLetter, InboxRow, WaitingMessage
from chassis.runtime import clock, ids
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.chassis.failing import FailingListener, dead_letters, inbox_with, later, retry_until_done
from tests.chassis.messages import Effect, effects, event_of, raw, receive, rows

pytestmark = pytest.mark.both_databases


@pytest.mark.parametrize("what", ["plain", "nul \x00", "half a pair \ud800", "long " * 1000])
def test_a_listener_that_fails_leaves_no_effect_and_the_message_waits(
    database: Database, what: str
) -> None:
    def failing(session: Session, envelope: Envelope) -> None:
        session.add(Effect(word="half done"))
        raise RuntimeError(what)

    receive(inbox_with(database, failing), raw(ids.new("org")))

    assert effects(database) == []
    assert [row.attempts for row in rows(database, WaitingMessage)] == [1]
    assert rows(database, InboxRow) == []


def test_a_listener_is_tried_three_times_immediately(database: Database) -> None:
    organization_id = ids.new("org")
    listener = FailingListener(organization_id)

    receive(inbox_with(database, listener), raw(organization_id))

    assert listener.calls == 3


def test_what_a_listener_rejects_as_invalid_is_dead_lettered_immediately(
    database: Database,
) -> None:
    def refusing(*_: Any) -> None:
        raise Invalid("this can never be")

    receive(inbox_with(database, refusing), raw(ids.new("org")))

    assert dead_letters(database) == [("invalid", "this can never be")]
    assert rows(database, WaitingMessage) == []


def test_messages_behind_a_failed_one_wait_and_other_aggregates_continue(
    database: Database,
) -> None:
    organization_id, other = ids.new("org"), ids.new("org")
    inbox = inbox_with(database, FailingListener(organization_id))

    for body in (
        raw(organization_id, 1),
        raw(organization_id, 2),
        raw(other, 1),
        raw(organization_id, 3),
    ):
        receive(inbox, body)

    assert effects(database) == [f"{other} 1"]
    assert sorted(row.version for row in rows(database, WaitingMessage)) == [1, 2, 3]


def test_waiting_messages_are_applied_in_order_once_the_listener_succeeds(
    database: Database,
) -> None:
    organization_id = ids.new("org")
    listener = FailingListener(organization_id)
    inbox = inbox_with(database, listener)
    for version in (1, 2, 3):
        receive(inbox, raw(organization_id, version))
    listener.failing_for.clear()

    retry_until_done(inbox, later())

    assert effects(database) == [f"{organization_id} {n}" for n in (1, 2, 3)]
    assert rows(database, WaitingMessage) == []
    receive(inbox, raw(organization_id, 4))
    assert effects(database)[-1] == f"{organization_id} 4"


def test_neither_a_message_that_is_not_due_nor_those_behind_it_are_retried(
    database: Database,
) -> None:
    organization_id = ids.new("org")
    listener = FailingListener(organization_id)
    inbox = inbox_with(database, listener)
    for version in (1, 2):
        receive(inbox, raw(organization_id, version))
    listener.failing_for.clear()
    due_at = min(row.due_at for row in rows(database, WaitingMessage))

    tried = inbox.retry_due(due_at - timedelta(seconds=1))

    assert tried == 0
    assert effects(database) == []


def test_many_messages_behind_a_failed_one_do_not_delay_other_aggregates(
    database: Database,
) -> None:
    organization_id, other = sorted((ids.new("org"), ids.new("org")))
    listener = FailingListener(organization_id, other)
    inbox = inbox_with(database, listener)
    for version in range(1, 8):
        receive(inbox, raw(organization_id, version))
    receive(inbox, raw(other, 1))
    inbox.retry_due(later(0.5))
    listener.failing_for.clear()
    for row in rows(database, WaitingMessage):
        if row.aggregate == other:
            inbox._retry(row.id, row.body)

    assert inbox.retry_due(clock.now() + timedelta(seconds=20), limit=3) == 0
    assert effects(database) == [f"{other} 1"]


@pytest.mark.parametrize(
    "error", [psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled], ids=["lock", "slow"]
)
def test_a_slow_or_locked_database_counts_for_nothing_and_delays_no_other_aggregate(
    database: Database, error: type[psycopg.Error]
) -> None:
    organization_id, other = sorted((ids.new("org"), ids.new("org")))
    listener = FailingListener(organization_id)
    listener.exception = lambda text: OperationalError(text, {}, error())
    inbox = inbox_with(database, listener)
    receive(inbox, raw(organization_id, 1), redelivered=True)
    receive(inbox, raw(organization_id, 2))
    receive(inbox, raw(other, 1))
    for _ in range(len(RETRY_AFTER) + MAX_CRASHES):
        assert inbox.retry_due(later()) == 1
    listener.failing_for.clear()

    retry_until_done(inbox, later())

    assert effects(database) == [f"{other} 1", f"{organization_id} 1", f"{organization_id} 2"]
    assert dead_letters(database) == []


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.DiskFull,
        psycopg.errors.TooManyConnections,
        psycopg.errors.AdminShutdown,
        psycopg.OperationalError,
    ],
)
def test_while_the_database_is_unavailable_a_message_is_not_delivered_however_often_it_comes(
    database: Database, error: type[psycopg.Error]
) -> None:
    organization_id = ids.new("org")
    listener = FailingListener(organization_id)
    listener.exception = lambda text: OperationalError(text, {}, error())
    inbox, body = inbox_with(database, listener), raw(organization_id)
    for _ in range(2 * MAX_CRASHES):
        with pytest.raises(OperationalError):
            receive(inbox, body, redelivered=True)
    listener.failing_for.clear()

    receive(inbox, body, redelivered=True)

    assert effects(database) == [f"{organization_id} 1"]
    assert (dead_letters(database), rows(database, WaitingMessage)) == ([], [])


def test_after_the_last_retry_a_message_is_dead_lettered_and_the_next_are_applied(
    database: Database,
) -> None:
    organization_id = ids.new("org")
    listener = FailingListener(organization_id)
    inbox = inbox_with(database, listener)
    for version in (1, 2):
        receive(inbox, raw(organization_id, version))
    first = min(rows(database, WaitingMessage), key=lambda row: row.version)
    for _ in range(len(RETRY_AFTER) - 1):
        assert inbox.retry_due(later()) == 1
    listener.failing_for.clear()
    listener.failing_for = {organization_id}
    assert inbox.retry_due(later()) == 1
    listener.failing_for = set()

    retry_until_done(inbox, later())

    assert [reason for reason, _ in dead_letters(database)] == ["failed"]
    assert rows(database, DeadLetter)[0].body == first.body
    assert rows(database, DeadLetter)[0].attempts == len(RETRY_AFTER)
    assert effects(database) == [f"{organization_id} 2"]


def test_each_retry_waits_longer_than_the_one_before(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    organization_id = ids.new("org")
    inbox = inbox_with(database, FailingListener(organization_id))
    receive(inbox, raw(organization_id))
    delays = []
    for _ in RETRY_AFTER[:-1]:
        delays.append(rows(database, WaitingMessage)[0].due_at - now)
        inbox.retry_due(later())
    delays.append(rows(database, WaitingMessage)[0].due_at - now)

    assert [delay.total_seconds() for delay in delays] == [10, 60, 600, 3600]


def test_another_message_with_the_id_of_a_waiting_one_is_dead_lettered(database: Database) -> None:
    organization_id = ids.new("org")
    event = event_of(organization_id)
    listener = FailingListener(organization_id)
    inbox = inbox_with(database, listener)
    receive(inbox, json.dumps(event).encode())
    listener.failing_for.clear()
    receive(inbox, json.dumps(event | {"extra": "x"}).encode())

    retry_until_done(inbox, later())

    assert effects(database) == [f"{organization_id} 1"]
    assert [reason for reason, _ in dead_letters(database)] == ["bad_envelope"]
