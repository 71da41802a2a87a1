"""Hearing: once, in order per aggregate; what fails waits, then is laid aside; others go on."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.messaging.inbox import MAX_CRASHES, MAX_SIZE, RETRY_AFTER, Envelope, Inbox
from chassis.messaging.inbox_models import DeadLetter, InboxRow, WaitingMessage
from chassis.runtime import clock, ids
from contracts import billing, membership
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.chassis.messages import Effect, effects, facts, note, raw, rows

pytestmark = pytest.mark.both_databases


class Stubborn:
    """A listener that fails for the organizations it dislikes."""

    def __init__(self, *disliked: str) -> None:
        self.disliked, self.calls = set(disliked), 0
        self.kind: Callable[[str], Exception] = RuntimeError

    def __call__(self, session: Session, envelope: Envelope, *, organization_id: str) -> None:
        self.calls += 1
        note(session, envelope, organization_id=organization_id)
        session.flush()
        if organization_id in self.disliked:
            raise self.kind(f"I do not like {organization_id}")


def ears(database: Database, listener: Any = note) -> Inbox:
    return Inbox(database, {billing.AccountOpened: listener})


def dead(database: Database) -> list[tuple[str, str]]:
    return [(row.reason, row.detail) for row in rows(database, DeadLetter)]


def later(minutes: float = 24 * 60) -> Any:
    return clock.now() + timedelta(minutes=minutes)


def work_off(inbox: Inbox, now: Any) -> int:
    """What the clock does: again as long as something was done."""
    total = 0
    while done := inbox.retry_due(now):
        total += done
        assert total < 1000, "it never ends"
    return total


def test_a_message_heard_twice_has_one_effect(database: Database) -> None:
    inbox, body = ears(database), raw(one := ids.new("org"))

    inbox.receive(body)
    inbox.receive(body)

    assert effects(database) == [f"{one} 1"]
    assert dead(database) == []


def test_the_same_id_with_another_body_is_laid_aside(database: Database) -> None:
    inbox, one = ears(database), ids.new("org")
    event = facts(one)
    inbox.receive(json.dumps(event).encode())

    inbox.receive(json.dumps(event | {"data": {"organization_id": ids.new("org")}}).encode())

    assert effects(database) == [f"{one} 1"]
    assert [reason for reason, _ in dead(database)] == ["bad_envelope"]


def test_unknown_members_are_ignored(database: Database) -> None:
    one = ids.new("org")

    ears(database).receive(raw(one, data={"organization_id": one, "new": [1]}, newextension="x"))

    assert effects(database) == [f"{one} 1"]


@pytest.mark.parametrize("time", ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_the_time_a_message_claims_decides_nothing(database: Database, time: str) -> None:
    one = ids.new("org")

    ears(database).receive(raw(one, time=time))

    assert effects(database) == [f"{one} 1"]


def test_a_message_behind_the_position_of_its_stream_is_laid_aside_not_applied(
    database: Database,
) -> None:
    inbox, one = ears(database), ids.new("org")
    inbox.receive(raw(one, 5))

    inbox.receive(raw(one, 4))

    assert effects(database) == [f"{one} 5"]
    assert [reason for reason, *_ in dead(database)] == ["stale"]


def test_streams_of_different_aggregates_do_not_know_each_other(database: Database) -> None:
    inbox, one, other = ears(database), ids.new("org"), ids.new("org")

    inbox.receive(raw(one, 5))
    inbox.receive(raw(other, 1))

    assert effects(database) == [f"{one} 5", f"{other} 1"]


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
    "known but not heard here": (
        raw(ids.new("org"), type=billing.BalanceChanged.TYPE),
        "unknown_type",
    ),
    "version of a type to come": (
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
def test_what_cannot_be_understood_is_laid_aside_with_its_reason(
    database: Database, name: str
) -> None:
    body, reason = POISON[name]
    inbox = ears(database)

    inbox.receive(body)
    inbox.receive(body)

    (letter,) = rows(database, DeadLetter)
    assert letter.reason == reason
    assert (letter.size, letter.body) == (len(body), body[:MAX_SIZE])
    assert effects(database) == []
    assert rows(database, InboxRow) == []


def test_said_by_another_than_its_source_is_forged(database: Database) -> None:
    one = ids.new("org")
    inbox = ears(database)

    inbox.receive(raw(one), published_by="membership")
    inbox.receive(raw(one), published_by="billing")

    assert [reason for reason, _ in dead(database)] == ["forged"]
    assert effects(database) == [f"{one} 1"]


@pytest.mark.parametrize("what", ["plain", "nul \x00", "half a pair \ud800", "long " * 1000])
def test_a_listener_that_fails_leaves_no_effect_and_the_message_waits(
    database: Database, what: str
) -> None:
    def failing(session: Session, envelope: Envelope) -> None:
        session.add(Effect(word="half done"))
        raise RuntimeError(what)

    ears(database, failing).receive(raw(ids.new("org")))

    assert effects(database) == []
    assert [row.attempts for row in rows(database, WaitingMessage)] == [1]
    assert rows(database, InboxRow) == []


def test_a_listener_is_tried_three_times_at_once(database: Database) -> None:
    one = ids.new("org")
    listener = Stubborn(one)

    ears(database, listener).receive(raw(one))

    assert listener.calls == 3


def test_what_a_listener_finds_invalid_is_laid_aside_at_once(database: Database) -> None:
    def refusing(*_: Any) -> None:
        raise Invalid("this can never be")

    ears(database, refusing).receive(raw(ids.new("org")))

    assert dead(database) == [("invalid", "this can never be")]
    assert rows(database, WaitingMessage) == []


def test_messages_behind_a_failed_one_wait_and_other_aggregates_go_on(database: Database) -> None:
    one, other = ids.new("org"), ids.new("org")
    inbox = ears(database, Stubborn(one))

    for body in (raw(one, 1), raw(one, 2), raw(other, 1), raw(one, 3)):
        inbox.receive(body)

    assert effects(database) == [f"{other} 1"]
    assert sorted(row.version for row in rows(database, WaitingMessage)) == [1, 2, 3]


def test_what_waits_is_applied_in_order_once_the_listener_can(database: Database) -> None:
    one = ids.new("org")
    listener = Stubborn(one)
    inbox = ears(database, listener)
    for version in (1, 2, 3):
        inbox.receive(raw(one, version))
    listener.disliked.clear()

    work_off(inbox, later())

    assert effects(database) == [f"{one} {n}" for n in (1, 2, 3)]
    assert rows(database, WaitingMessage) == []
    inbox.receive(raw(one, 4))
    assert effects(database)[-1] == f"{one} 4"


def test_what_is_not_due_is_left_alone_with_all_behind_it(database: Database) -> None:
    one = ids.new("org")
    listener = Stubborn(one)
    inbox = ears(database, listener)
    for version in (1, 2):
        inbox.receive(raw(one, version))
    listener.disliked.clear()

    tried = inbox.retry_due(clock.now() + timedelta(seconds=5))

    assert tried == 0
    assert effects(database) == []


def test_many_behind_a_failed_one_do_not_hold_back_what_is_due_elsewhere(
    database: Database,
) -> None:
    one, other = sorted((ids.new("org"), ids.new("org")))
    listener = Stubborn(one, other)
    inbox = ears(database, listener)
    for version in range(1, 8):
        inbox.receive(raw(one, version))
    inbox.receive(raw(other, 1))
    inbox.retry_due(later(0.5))
    listener.disliked.clear()
    for row in rows(database, WaitingMessage):
        if row.aggregate == other:
            inbox._retry(row.id, row.body)

    assert inbox.retry_due(clock.now() + timedelta(seconds=20), limit=3) == 0
    assert effects(database) == [f"{other} 1"]


def test_a_listener_too_slow_for_the_database_is_counted_and_holds_nobody_back(
    database: Database,
) -> None:
    one, other = sorted((ids.new("org"), ids.new("org")))
    listener = Stubborn(one, other)
    inbox = ears(database, listener)
    inbox.receive(raw(one, 1))
    inbox.receive(raw(other, 1))
    listener.disliked = {one}
    listener.kind = lambda text: OperationalError(text, {}, Exception("statement timeout"))

    tried = inbox.retry_due(later())

    assert tried == 2
    assert effects(database) == [f"{other} 1"]
    assert [(row.aggregate, row.attempts) for row in rows(database, WaitingMessage)] == [(one, 2)]


def test_after_the_whole_ladder_a_message_is_laid_aside_and_those_behind_it_go_on(
    database: Database,
) -> None:
    one = ids.new("org")
    listener = Stubborn(one)
    inbox = ears(database, listener)
    for version in (1, 2):
        inbox.receive(raw(one, version))
    first = min(rows(database, WaitingMessage), key=lambda row: row.version)
    for _ in range(len(RETRY_AFTER) - 1):
        assert inbox.retry_due(later()) == 1
    listener.disliked.clear()
    listener.disliked = {one}
    assert inbox.retry_due(later()) == 1
    listener.disliked = set()

    work_off(inbox, later())

    assert [reason for reason, _ in dead(database)] == ["failed"]
    assert rows(database, DeadLetter)[0].body == first.body
    assert rows(database, DeadLetter)[0].attempts == len(RETRY_AFTER)
    assert effects(database) == [f"{one} 2"]


def test_each_attempt_waits_longer_than_the_one_before(database: Database) -> None:
    one = ids.new("org")
    inbox = ears(database, Stubborn(one))
    inbox.receive(raw(one))
    waits = []
    for _ in RETRY_AFTER[:-1]:
        before = clock.now()
        waits.append(rows(database, WaitingMessage)[0].due_at - before)
        inbox.retry_due(later())
    waits.append(rows(database, WaitingMessage)[0].due_at - clock.now())

    assert [round(wait.total_seconds() / 5) * 5 for wait in waits] == [10, 60, 600, 3600]


def test_a_waiting_message_that_turns_out_impossible_keeps_its_reason(database: Database) -> None:
    one = ids.new("org")
    event = facts(one)
    listener = Stubborn(one)
    inbox = ears(database, listener)
    inbox.receive(json.dumps(event).encode())
    listener.disliked.clear()
    inbox.receive(json.dumps(event | {"extra": "x"}).encode())

    work_off(inbox, later())

    assert effects(database) == [f"{one} 1"]
    assert [reason for reason, _ in dead(database)] == ["bad_envelope"]


def test_redriven_messages_are_applied_once(database: Database) -> None:
    one = ids.new("org")
    inbox = Inbox(database, {})
    inbox.receive(raw(one))
    inbox.listeners = {billing.AccountOpened: note}

    first, second = inbox.redrive(), inbox.redrive()

    assert (first, second) == (1, 0)
    assert effects(database) == [f"{one} 1"]
    assert inbox.dead_letters() == []


def test_a_message_laid_aside_twice_and_redriven_twice_is_applied_once(database: Database) -> None:
    body = raw(one := ids.new("org"))
    inbox = Inbox(database, {})
    inbox.receive(body)
    inbox.listeners = {billing.AccountOpened: note}
    inbox.redrive()
    inbox.receive(body, gave_up="delivery_limit")

    assert inbox.redrive() == 1

    assert effects(database) == [f"{one} 1"]


def test_one_letter_can_be_redriven_by_its_id(database: Database) -> None:
    one, other = ids.new("org"), ids.new("org")
    inbox = Inbox(database, {})
    inbox.receive(raw(one))
    inbox.receive(raw(other))
    inbox.listeners = {billing.AccountOpened: note}
    letter = next(row for row in rows(database, DeadLetter) if other.encode() in row.body)

    assert inbox.redrive(dead_letter_id=letter.id) == 1

    assert effects(database) == [f"{other} 1"]


def test_a_redriven_message_that_is_still_poison_lies_there_again(database: Database) -> None:
    inbox = Inbox(database, {})
    inbox.receive(raw(ids.new("org")))

    inbox.redrive()

    assert len(inbox.dead_letters()) == 1


def test_a_redriven_message_that_the_database_could_not_take_is_not_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ids.new("org")
    inbox = Inbox(database, {})
    inbox.receive(raw(one))
    inbox.listeners = {billing.AccountOpened: note}

    def away(*_: Any) -> None:
        raise ConnectionError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "_apply_or_wait", away)
        with pytest.raises(ConnectionError):
            inbox.redrive()

    assert inbox.redrive() == 1
    assert effects(database) == [f"{one} 1"]


def test_a_redriven_message_may_come_after_its_followers(database: Database) -> None:
    one = ids.new("org")
    inbox = Inbox(database, {})
    inbox.receive(raw(one, 1))
    inbox.listeners = {billing.AccountOpened: note}
    inbox.receive(raw(one, 2))

    inbox.redrive()

    assert effects(database) == [f"{one} 2", f"{one} 1"]


def test_a_message_that_comes_again_and_again_without_an_end_is_laid_aside(
    database: Database,
) -> None:
    body = raw(one := ids.new("org"))

    class Killed(BaseException):
        pass

    def deadly(*_: Any) -> None:
        raise Killed

    inbox = ears(database, deadly)
    for again in [False] + [True] * MAX_CRASHES:
        with pytest.raises(Killed):
            inbox.receive(body, redelivered=again)

    inbox.receive(body, redelivered=True)

    assert [reason for reason, _ in dead(database)] == ["crashes"]
    assert effects(database) == []
    inbox.listeners = {billing.AccountOpened: note}
    inbox.redrive()
    assert effects(database) == [f"{one} 1"]


def test_a_message_delivered_again_after_its_effect_has_no_second_one(database: Database) -> None:
    body = raw(one := ids.new("org"))
    inbox = ears(database)
    inbox.receive(body)

    inbox.receive(body, redelivered=True)

    assert effects(database) == [f"{one} 1"]


def test_parallel_duplicates_have_one_effect(database: Database) -> None:
    body = raw(one := ids.new("org"))
    inbox, together = ears(database), threading.Barrier(4)

    def hear() -> None:
        together.wait()
        inbox.receive(body)

    threads = [threading.Thread(target=hear) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert effects(database) == [f"{one} 1"]
    assert dead(database) == []
    assert rows(database, WaitingMessage) == []


def test_two_types_of_one_aggregate_share_its_stream_per_source(database: Database) -> None:
    one = ids.new("org")
    inbox = Inbox(database, {billing.AccountOpened: note, membership.MembersErased: note})
    erased = raw(
        one,
        1,
        type=membership.MembersErased.TYPE,
        source="/membership",
        data={"organization_id": one, "deletion_id": "del_1"},
    )

    inbox.receive(raw(one, 3))
    inbox.receive(erased)

    assert effects(database) == [f"{one} 3", f"{one} 1"]
