"""Consuming: each message once, in order per aggregate; dead letters where it is not understood."""

import json
import threading
from typing import Any

import pytest
from chassis.audit import AuditEntry
from chassis.db.database import Database
from chassis.messaging.inbox import MAX_CRASHES, MAX_SIZE, Envelope, Inbox
from chassis.messaging.inbox_models import DeadLetter, InboxRow, WaitingMessage
from chassis.runtime import ids
from contracts import billing, membership
from sqlalchemy.orm import Session

from tests.chassis.failing import dead_letters, inbox_with
from tests.chassis.messages import effects, event_of, note, raw, receive, rows
from tests.chassis.test_unit_of_work import record

pytestmark = pytest.mark.both_databases


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


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a" * 200])
def test_what_is_not_read_or_only_names_the_cause_may_be_no_text_that_can_be_stored(
    database: Database, text: str
) -> None:
    def publish(session: Session, envelope: Envelope, *, organization_id: str) -> None:
        note(session, envelope, organization_id=organization_id)
        record(session, organization_id)

    organization_id = ids.new("org")
    data = {"organization_id": organization_id, "new": text}

    receive(
        inbox_with(database, publish),
        raw(organization_id, correlationid=text, newextension=text, data=data),
    )

    assert effects(database) == [f"{organization_id} 1"]
    (entry,) = rows(database, AuditEntry)
    assert entry.request_id in ("\ufffd", "?", "a" * 128)


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
    "beyond every float": (
        raw(ids.new("org"), data={"amount": 7}).replace(b": 7", b": 1e999"),
        "undecodable",
    ),
    "an integer of 5,000 digits": (
        raw(ids.new("org"), data={"amount": 7}).replace(b": 7", b": " + b"7" * 5000),
        "undecodable",
    ),
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
    "field with NUL": (raw(ids.new("org"), data={"organization_id": "org\x00"}), "invalid"),
    "field with half a pair": (raw(ids.new("org"), data={"organization_id": "\udc00"}), "invalid"),
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
