"""The bus of embedded mode: messages are applied together, and those that fail hold up nobody."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from chassis.db import turns
from chassis.db.database import Database
from chassis.messaging import in_process
from chassis.messaging.in_process import InProcessBus
from chassis.messaging.inbox_models import WaitingMessage
from chassis.messaging.relay import OutgoingMessage
from chassis.runtime import ids
from contracts import billing
from sqlalchemy import event

from tests.chassis.failing import FailingListener, inbox_with
from tests.chassis.messages import CHASSIS, NOON, effects, raw, rows
from tests.databases import PreparedDatabases, migrated
from tests.waiting import until


@pytest.fixture
def database(prepared_databases: PreparedDatabases, tmp_path: Path) -> Iterator[Database]:
    with migrated(
        CHASSIS, "sqlite", prepared_databases=prepared_databases, folder=tmp_path, pool_size=5
    ) as made:
        yield made


def send(
    database: Database, listener: FailingListener, organizations: Sequence[str], *, sent: int = 0
) -> None:
    """Publish that these accounts are open, in one batch, of which so many are sent: else all."""
    messages = [
        OutgoingMessage(ids.new("evt"), each, billing.AccountOpened.TYPE, raw(each), NOON)
        for each in organizations
    ]
    result = InProcessBus("billing", {"org": inbox_with(database, listener)}).publish(messages)
    assert result.sent == {message.id for message in messages[: sent or len(messages)]}


def test_messages_share_transactions_and_keep_their_order(database: Database) -> None:
    organizations = [ids.new("org") for _ in range(50)]
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)

    send(database, FailingListener(), organizations)

    assert effects(database) == [f"{each} 1" for each in organizations]
    assert 1 < len(commits) <= 5, "a few share a transaction: its consumer's requests wait for it"


def test_the_rest_of_a_batch_that_takes_long_is_left_to_the_next_step(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "MAX_SECONDS_PER_BATCH", -1.0)
    organizations = [ids.new("org") for _ in range(50)]

    send(database, FailingListener(), organizations, sent=in_process.MAX_MESSAGES_PER_TRANSACTION)

    assert effects(database) == [
        f"{each} 1" for each in organizations[: in_process.MAX_MESSAGES_PER_TRANSACTION]
    ]


def test_one_that_fails_waits_and_the_others_take_effect(database: Database) -> None:
    organizations = [ids.new("org") for _ in range(5)]

    send(database, FailingListener(organizations[2]), organizations)

    del organizations[2]
    assert effects(database) == [f"{each} 1" for each in organizations]
    assert len(rows(database, WaitingMessage)) == 1


def test_a_request_need_not_wait_for_more_than_one_of_many_that_fail(database: Database) -> None:
    organizations = [ids.new("org") for _ in range(10)]
    listener = FailingListener(*organizations)
    calls_before: list[int] = []

    def serve() -> None:
        turns.note_request()
        with database.transaction():
            calls_before.append(listener.calls)

    request = threading.Thread(target=serve)

    def begin_request(_: str) -> Exception:
        if listener.calls == 1:
            request.start()
            until(lambda: database._turn.waiting)  # type: ignore[attr-defined]
        return RuntimeError("failing")

    listener.exception = begin_request
    send(database, listener, organizations)

    request.join(60)
    assert calls_before == [1]
    assert len(rows(database, WaitingMessage)) == len(organizations)
