"""Dead letters are redriven."""

from typing import Any

import pytest
from chassis.db.database import Database
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import DeadLetter
from chassis.runtime import ids
from contracts import billing

from tests.chassis.messages import effects, note, raw, receive, rows

pytestmark = pytest.mark.both_databases


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
