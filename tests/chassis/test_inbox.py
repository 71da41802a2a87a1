"""Consuming: once, in order per aggregate. What fails is retried, then dead-lettered, while other
aggregates continue."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.messaging.inbox import MAX_CRASHES, MAX_SIZE, RETRY_AFTER, Envelope, Inbox
from chassis.messaging.inbox_models import DeadLetter, InboxRow, WaitingMessage
from chassis.runtime import clock, ids
from contracts import billing, membership
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.chassis.messages import Effect, effects, event_of, note, raw, receive, rows

pytestmark = pytest.mark.both_databases


class FailingListener:
    """A listener that fails for some organizations."""

    def __init__(self, *failing_for: str) -> None:
        self.failing_for, self.calls = set(failing_for), 0
        self.exception: Callable[[str], Exception] = RuntimeError

    def __call__(self, session: Session, envelope: Envelope, *, organization_id: str) -> None:
        self.calls += 1
        note(session, envelope, organization_id=organization_id)
        session.flush()
        if organization_id in self.failing_for:
            raise self.exception(f"failing for {organization_id}")


def inbox_with(database: Database, listener: Any = note) -> Inbox:
    return Inbox(database, {billing.AccountOpened: listener})


def dead_letters(database: Database) -> list[tuple[str, str]]:
    return [(row.reason, row.detail) for row in rows(database, DeadLetter)]


def later(minutes: float = 24 * 60) -> Any:
    return clock.now() + timedelta(minutes=minutes)


def retry_until_done(inbox: Inbox, now: Any) -> int:
    """Retry as the job does: again while there is something due. Returns how many were tried."""
    total = 0
    while done := inbox.retry_due(now):
        total += done
        assert total < 1000, "the retries do not end"
    return total


def test_a_message_received_twice_has_one_effect(database: Database) -> None:
    inbox, body = inbox_with(database), raw(organization_id := ids.new("org"))

    receive(inbox, body)
    receive(inbox, body)

    assert effects(database) == [f"{organization_id} 1"]
    assert dead_letters(database) == []


def test_the_same_id_with_another_body_is_dead_lettered(database: Database) -> None:
    inbox, organization_id = inbox_with(database), ids.new("org")
    event = event_of(organization_id)
    receive(inbox, json.dumps(event).encode())

    receive(inbox, json.dumps(event | {"data": {"organization_id": ids.new("org")}}).encode())

    assert effects(database) == [f"{organization_id} 1"]
    assert [reason for reason, _ in dead_letters(database)] == ["bad_envelope"]


def test_unknown_members_are_ignored(database: Database) -> None:
    organization_id = ids.new("org")

    receive(
        inbox_with(database),
        raw(
            organization_id, data={"organization_id": organization_id, "new": [1]}, newextension="x"
        ),
    )

    assert effects(database) == [f"{organization_id} 1"]


@pytest.mark.parametrize("time", ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_the_time_of_a_message_does_not_matter(database: Database, time: str) -> None:
    organization_id = ids.new("org")

    receive(inbox_with(database), raw(organization_id, time=time))

    assert effects(database) == [f"{organization_id} 1"]


def test_a_stale_message_is_dead_lettered_and_not_applied(
    database: Database,
) -> None:
    inbox, organization_id = inbox_with(database), ids.new("org")
    receive(inbox, raw(organization_id, 5))

    receive(inbox, raw(organization_id, 4))

    assert effects(database) == [f"{organization_id} 5"]
    assert [reason for reason, *_ in dead_letters(database)] == ["stale"]


def test_streams_of_different_aggregates_are_independent(database: Database) -> None:
    inbox, organization_id, other = inbox_with(database), ids.new("org"), ids.new("org")

    receive(inbox, raw(organization_id, 5))
    receive(inbox, raw(other, 1))

    assert effects(database) == [f"{organization_id} 5", f"{other} 1"]


POISON: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "undecodable"),
    "not json": (b"<xml/>", "undecodable"),
    "truncated": (raw(ids.new("org"))[:-20], "undecodable"),
    "invalid utf-8": (b'{"id": "\xff\xfe"}', "undecodable"),
    "with a BOM": (b"\xef\xbb\xbf" + raw(ids.new("org")), "undecodable"),
    "utf-16": (raw(ids.new("org")).decode().encode("utf-16"), "undecodable"),
    "an array": (b"[1, 2]", "undecodable"),
    "null": (b"null", "undecodable"),
    "a million deep": (b"[" * 100_000, "undecodable"),
    "deep in the data": (
        raw(ids.new("org")).replace(b'{"organization_id"', b'{"a":' + b"[" * 50_000),
        "undecodable",
    ),
    "NaN": (raw(ids.new("org"), data={"organization_id": float("nan")}), "undecodable"),
    "duplicate keys": (raw(ids.new("org"))[:-1] + b', "subject": "org_other"}', "undecodable"),
    "too large": (raw(ids.new("org"), padding="x" * MAX_SIZE), "too_large"),
    "without id": (raw(ids.new("org"), id=None), "bad_envelope"),
    "without type": (raw(ids.new("org"), type=None), "bad_envelope"),
    "without source": (raw(ids.new("org"), source=None), "bad_envelope"),
    "without subject": (raw(ids.new("org"), subject=None), "bad_envelope"),
    "without sequence": (raw(ids.new("org"), sequence=None), "bad_envelope"),
    "sequence is a word": (raw(ids.new("org"), sequence="first"), "bad_envelope"),
    "sequence in other digits": (raw(ids.new("org"), sequence="١"), "bad_envelope"),
    "version 0": (raw(ids.new("org"), 0), "bad_envelope"),
    "version -1": (raw(ids.new("org"), -1), "bad_envelope"),
    "version 2**63": (raw(ids.new("org"), 2**63), "bad_envelope"),
    "id of another kind": (raw(ids.new("org"), id=ids.new("org")), "bad_envelope"),
    "id is a number": (raw(ids.new("org"), id=7), "bad_envelope"),
    "id in capitals": (raw(ids.new("org"), id="evt_01H455VB4PEX5VSKNK084SN02Q"), "bad_envelope"),
    "type is a list": (raw(ids.new("org"), type=["a"]), "bad_envelope"),
    "subject is too long": (raw(ids.new("org"), subject="s" * 65), "bad_envelope"),
    "subject with NUL": (raw(ids.new("org"), subject="org_\x00"), "bad_envelope"),
    "subject with half a pair": (raw(ids.new("org"), subject="org_\ud800"), "bad_envelope"),
    "type with NUL": (raw(ids.new("org"), type="billing.\x00.v1"), "unknown_type"),
    "type with half a pair": (raw(ids.new("org"), type="billing.\ud800.v1"), "unknown_type"),
    "unknown type": (raw(ids.new("org"), type="billing.nonsense.v1"), "unknown_type"),
    "known but not consumed here": (
        raw(ids.new("org"), type=billing.BalanceChanged.TYPE),
        "unknown_type",
    ),
    "a later version of a known type": (
        raw(ids.new("org"), type="billing.account_opened.v9"),
        "unknown_type",
    ),
    "source of another service": (raw(ids.new("org"), source="/membership"), "forged"),
    "data missing": (raw(ids.new("org"), data=None), "invalid"),
    "data is a list": (raw(ids.new("org"), data=[1]), "invalid"),
    "field missing": (raw(ids.new("org"), data={}), "invalid"),
    "field of another type": (raw(ids.new("org"), data={"organization_id": 7}), "invalid"),
    "field is null": (raw(ids.new("org"), data={"organization_id": None}), "invalid"),
}


@pytest.mark.parametrize("name", POISON)
def test_what_cannot_be_decoded_is_dead_lettered_with_its_reason(
    database: Database, name: str
) -> None:
    body, reason = POISON[name]
    inbox = inbox_with(database)

    receive(inbox, body)
    receive(inbox, body)

    (dead_letter,) = rows(database, DeadLetter)
    assert dead_letter.reason == reason
    assert (dead_letter.size, dead_letter.body) == (len(body), body[:MAX_SIZE])
    assert effects(database) == []
    assert rows(database, InboxRow) == []


def test_a_message_by_another_user_than_its_source_is_forged(database: Database) -> None:
    organization_id = ids.new("org")
    inbox = inbox_with(database)

    receive(inbox, raw(organization_id), published_by="membership")
    receive(inbox, raw(organization_id), published_by="billing")

    assert [reason for reason, _ in dead_letters(database)] == ["forged"]
    assert effects(database) == [f"{organization_id} 1"]


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

    tried = inbox.retry_due(clock.now() + timedelta(seconds=5))

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


def test_each_retry_waits_longer_than_the_one_before(database: Database) -> None:
    organization_id = ids.new("org")
    inbox = inbox_with(database, FailingListener(organization_id))
    receive(inbox, raw(organization_id))
    delays = []
    for _ in RETRY_AFTER[:-1]:
        before = clock.now()
        delays.append(rows(database, WaitingMessage)[0].due_at - before)
        inbox.retry_due(later())
    delays.append(rows(database, WaitingMessage)[0].due_at - clock.now())

    assert [round(delay.total_seconds() / 5) * 5 for delay in delays] == [10, 60, 600, 3600]


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


def test_redriven_messages_are_applied_once(database: Database) -> None:
    organization_id = ids.new("org")
    inbox = Inbox(database, {})
    receive(inbox, raw(organization_id))
    inbox.listeners = {billing.AccountOpened: note}

    first, second = inbox.redrive(), inbox.redrive()

    assert (first, second) == (1, 0)
    assert effects(database) == [f"{organization_id} 1"]
    assert inbox.dead_letters() == []


def test_a_message_dead_lettered_twice_and_redriven_twice_is_applied_once(
    database: Database,
) -> None:
    body = raw(organization_id := ids.new("org"))
    inbox = Inbox(database, {})
    receive(inbox, body)
    inbox.listeners = {billing.AccountOpened: note}
    inbox.redrive()
    receive(inbox, body, gave_up="delivery_limit")

    assert inbox.redrive() == 1

    assert effects(database) == [f"{organization_id} 1"]


def test_one_dead_letter_can_be_redriven_by_its_id(database: Database) -> None:
    organization_id, other = ids.new("org"), ids.new("org")
    inbox = Inbox(database, {})
    receive(inbox, raw(organization_id))
    receive(inbox, raw(other))
    inbox.listeners = {billing.AccountOpened: note}
    dead_letter = next(row for row in rows(database, DeadLetter) if other.encode() in row.body)

    assert inbox.redrive(dead_letter_id=dead_letter.id) == 1

    assert effects(database) == [f"{other} 1"]


def test_a_redriven_message_that_fails_again_stays_a_dead_letter(database: Database) -> None:
    inbox = Inbox(database, {})
    receive(inbox, raw(ids.new("org")))

    inbox.redrive()

    assert len(inbox.dead_letters()) == 1


def test_a_message_redriven_while_the_database_is_unavailable_is_not_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id = ids.new("org")
    inbox = Inbox(database, {})
    receive(inbox, raw(organization_id))
    inbox.listeners = {billing.AccountOpened: note}

    def unavailable(*_: Any) -> None:
        raise ConnectionError("the database is unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "_apply_or_wait", unavailable)
        with pytest.raises(ConnectionError):
            inbox.redrive()

    assert inbox.redrive() == 1
    assert effects(database) == [f"{organization_id} 1"]


def test_a_redriven_message_may_be_applied_after_later_ones(database: Database) -> None:
    organization_id = ids.new("org")
    inbox = Inbox(database, {})
    receive(inbox, raw(organization_id, 1))
    inbox.listeners = {billing.AccountOpened: note}
    receive(inbox, raw(organization_id, 2))

    inbox.redrive()

    assert effects(database) == [f"{organization_id} 2", f"{organization_id} 1"]


def test_a_message_that_keeps_killing_the_process_is_dead_lettered(
    database: Database,
) -> None:
    body = raw(organization_id := ids.new("org"))

    class Killed(BaseException):
        pass

    def deadly(*_: Any) -> None:
        raise Killed

    inbox = inbox_with(database, deadly)
    for redelivered in [False] + [True] * MAX_CRASHES:
        with pytest.raises(Killed):
            receive(inbox, body, redelivered=redelivered)

    receive(inbox, body, redelivered=True)

    assert [reason for reason, _ in dead_letters(database)] == ["crashes"]
    assert effects(database) == []
    inbox.listeners = {billing.AccountOpened: note}
    inbox.redrive()
    assert effects(database) == [f"{organization_id} 1"]


def test_a_redelivered_message_has_no_second_effect(database: Database) -> None:
    body = raw(organization_id := ids.new("org"))
    inbox = inbox_with(database)
    receive(inbox, body)

    receive(inbox, body, redelivered=True)

    assert effects(database) == [f"{organization_id} 1"]


def test_parallel_duplicates_have_one_effect(database: Database) -> None:
    body = raw(organization_id := ids.new("org"))
    inbox, together = inbox_with(database), threading.Barrier(4)

    def receive_together() -> None:
        together.wait()
        receive(inbox, body)

    threads = [threading.Thread(target=receive_together) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert effects(database) == [f"{organization_id} 1"]
    assert dead_letters(database) == []
    assert rows(database, WaitingMessage) == []


def test_two_types_of_one_aggregate_share_its_stream_per_source(database: Database) -> None:
    organization_id = ids.new("org")
    inbox = Inbox(database, {billing.AccountOpened: note, membership.MembersErased: note})
    erased = raw(
        organization_id,
        1,
        type=membership.MembersErased.TYPE,
        source="/membership",
        data={"organization_id": organization_id, "deletion_id": "del_1"},
    )

    receive(inbox, raw(organization_id, 3))
    receive(inbox, erased, published_by="membership")

    assert effects(database) == [f"{organization_id} 3", f"{organization_id} 1"]
