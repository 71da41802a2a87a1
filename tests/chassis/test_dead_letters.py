"""Dead letters: redriving checks the producer as the first delivery did, and none can fill the
table."""

import json

import pytest
from chassis.db.database import Database
from chassis.messaging import dead_letters
from chassis.messaging.batches import Batches
from chassis.messaging.envelope import Delivery
from chassis.messaging.in_process import InProcessBus
from chassis.messaging.inbox import RETRY_AFTER, Inbox
from chassis.messaging.inbox_models import DeadLetter, WaitingMessage
from chassis.messaging.relay import OutgoingMessage
from chassis.runtime import clock, ids
from contracts import billing
from sqlalchemy import update

from tests.chassis.messages import effects, event_of, note, raw, rows
from tests.chassis.recording_listener import RecordingListener

OPENED = {billing.AccountOpened: note}


def reasons(database: Database) -> list[tuple[str | None, str]]:
    return sorted((row.published_by, row.reason) for row in rows(database, DeadLetter))


def forget_producers(database: Database) -> None:
    """As rows are that were written before the producer was recorded."""
    with database.transaction() as session:
        session.execute(update(DeadLetter).values(published_by=None))


@pytest.mark.parametrize("first", ["forged", "gave_up", "unknown_type"])
def test_redriving_does_not_apply_what_another_producer_published(
    postgres_database: Database, first: str
) -> None:
    inbox = Inbox(postgres_database, {} if first == "unknown_type" else OPENED)
    gave_up = "delivery_limit" if first == "gave_up" else ""
    inbox.receive(raw(ids.new("org")), published_by="membership", gave_up=gave_up)
    (letter,) = rows(postgres_database, DeadLetter)
    assert letter.reason == first
    inbox.listeners = OPENED

    inbox.redrive()
    inbox.redrive(dead_letter_id=letter.id)

    assert effects(postgres_database) == []
    assert reasons(postgres_database) == [("membership", "forged")]
    assert rows(postgres_database, WaitingMessage) == []


def test_a_bulk_redrive_leaves_out_what_none_of_our_services_wrote(
    postgres_database: Database,
) -> None:
    inbox = Inbox(postgres_database, {})
    inbox.receive(b"{", published_by="billing")
    inbox.receive(raw(ids.new("org"), 0), published_by="billing")
    inbox.receive(raw(organization_id := ids.new("org")), published_by="billing")
    inbox.listeners = OPENED
    inbox.receive(raw(ids.new("org")), published_by="nobody")

    assert inbox.redrive() == 1

    assert effects(postgres_database) == [f"{organization_id} 1"]
    assert len(inbox.dead_letters()) == 3


def test_a_forged_copy_takes_nothing_from_the_dead_letter_of_the_producer(
    postgres_database: Database,
) -> None:
    inbox, body = Inbox(postgres_database, {}), raw(organization_id := ids.new("org"))
    inbox.receive(body, published_by="billing")
    inbox.listeners = OPENED
    inbox.receive(body, published_by="membership")
    assert reasons(postgres_database) == [("billing", "unknown_type"), ("membership", "forged")]

    assert inbox.redrive() == 1

    assert effects(postgres_database) == [f"{organization_id} 1"]
    assert len(inbox.dead_letters()) == 1


def test_a_dead_letter_of_an_unknown_producer_is_redriven_only_by_its_id(
    postgres_database: Database,
) -> None:
    inbox = Inbox(postgres_database, {})
    inbox.receive(raw(organization_id := ids.new("org")), published_by="billing")
    forget_producers(postgres_database)
    inbox.listeners = OPENED
    (letter,) = rows(postgres_database, DeadLetter)
    assert f"{letter.id} " in inbox.dead_letters()[0]
    assert "by an unknown producer" in inbox.dead_letters()[0]

    assert inbox.redrive() == 0
    assert inbox.redrive(dead_letter_id=letter.id) == 1

    assert effects(postgres_database) == [f"{organization_id} 1"]


def test_a_forged_dead_letter_of_an_unknown_producer_is_never_applied(
    postgres_database: Database,
) -> None:
    inbox = Inbox(postgres_database, OPENED)
    inbox.receive(raw(ids.new("org")), published_by="membership")
    forget_producers(postgres_database)
    (letter,) = rows(postgres_database, DeadLetter)

    assert inbox.redrive(dead_letter_id=letter.id) == 0

    assert effects(postgres_database) == []


def test_what_the_retries_give_up_knows_its_producer(postgres_database: Database) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("not now")

    inbox = Inbox(postgres_database, {billing.AccountOpened: failing})
    inbox.receive(raw(organization_id := ids.new("org")), published_by="billing")
    inbox.receive(raw(other := ids.new("org")), published_by="billing")
    for wait in RETRY_AFTER[:-1]:
        inbox.retry_due(clock.now() + wait)
    inbox.listeners = {}
    inbox.retry_due(clock.now() + RETRY_AFTER[-1])
    assert reasons(postgres_database) == [("billing", "unknown_type")] * 2
    inbox.listeners = OPENED

    assert inbox.redrive() == 2

    assert sorted(effects(postgres_database)) == sorted([f"{organization_id} 1", f"{other} 1"])


def test_in_one_process_the_producer_is_the_service_whose_relay_sends(
    postgres_database: Database,
) -> None:
    body = raw(organization_id := ids.new("org"))
    message = OutgoingMessage(
        ids.new("evt"), ids.new("org"), billing.AccountOpened.TYPE, body, clock.now()
    )
    inbox = Inbox(postgres_database, OPENED)

    InProcessBus("membership", {"org": inbox}).publish([message])
    InProcessBus("billing", {"org": inbox}).publish([message])

    assert reasons(postgres_database) == [("membership", "forged")]
    assert effects(postgres_database) == [f"{organization_id} 1"]


def test_a_batch_passes_the_producer_of_what_it_leaves_out(postgres_database: Database) -> None:
    batches: Batches = RecordingListener().batches(postgres_database)
    forged = Delivery(json.dumps(event_of(ids.new("org"))).encode(), "org")

    assert batches.receive([forged]) == [0]
    batches.inbox.receive(forged.raw, published_by=forged.published_by)

    assert reasons(postgres_database)[0][0] == "org"


def test_one_producer_cannot_fill_the_table(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MAX_PER_PRODUCER", 2)
    inbox = Inbox(postgres_database, OPENED)
    for n in range(4):
        inbox.receive(b"[" * (n + 1), published_by="membership")
    inbox.receive(b"{", published_by="billing")
    inbox.receive(b"[", published_by="membership")

    assert reasons(postgres_database) == [
        ("billing", "undecodable"),
        ("membership", "undecodable"),
        ("membership", "undecodable"),
    ]
    (refused,) = [line for line in inbox.dead_letters() if "not stored" in line]
    assert refused.startswith("2 messages by membership were not stored")


def test_a_producer_whose_dead_letters_were_redriven_has_room_again(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MAX_PER_PRODUCER", 1)
    inbox = Inbox(postgres_database, {})
    inbox.receive(raw(ids.new("org")), published_by="billing")
    inbox.listeners = OPENED
    inbox.redrive()
    inbox.listeners = {}

    inbox.receive(raw(ids.new("org")), published_by="billing")

    assert len(inbox.dead_letters()) == 1
    assert "not stored" not in inbox.dead_letters()[0]
