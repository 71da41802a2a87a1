"""Listeners get the fields that they declare, whatever else a message carries."""

from dataclasses import field, fields, make_dataclass
from importlib import import_module

import contracts.message
import pytest
from billing.listeners import BATCHES
from chassis.db.database import Database
from chassis.messaging import listeners
from chassis.messaging.envelope import Envelope
from chassis.messaging.inbox import Inbox
from chassis.runtime import clock, ids
from contracts import Message, billing, usage
from sqlalchemy.orm import Session

from tests.chassis.messages import Effect, effects, note, raw, receive, rows

SERVICES = ("org", "billing", "membership")


def grown(kind: type[Message]) -> type[Message]:
    """The message as a later version of its producer declares it: with one more optional field."""
    return make_dataclass(
        kind.__name__,
        [("added_later", str | None, field(default=None, kw_only=True))],
        bases=(kind,),
        namespace={"__qualname__": kind.__qualname__},
        frozen=True,
        kw_only=True,
    )


def test_a_new_optional_field_breaks_no_listener(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = grown(billing.AccountOpened)
    monkeypatch.setitem(contracts.message._REGISTER, kind.TYPE, kind)
    inbox, organization_id = Inbox(database, {kind: note}), ids.new("org")

    receive(inbox, raw(organization_id, 1))
    receive(
        inbox,
        raw(organization_id, 2, data={"organization_id": organization_id, "added_later": "x"}),
    )

    assert effects(database) == [f"{organization_id} 1", f"{organization_id} 2"]
    assert inbox.dead_letters() == []


def test_unknown_fields_on_the_wire_are_ignored(database: Database) -> None:
    inbox, organization_id = Inbox(database, {billing.AccountOpened: note}), ids.new("org")
    body = {"organization_id": organization_id, "unknown": {"a": [1]}}

    receive(inbox, raw(organization_id, data=body, anotherextension="y"))

    assert effects(database) == [f"{organization_id} 1"]
    assert inbox.dead_letters() == []


def test_only_these_listeners_take_whole_messages() -> None:
    whole = {
        (service, listener.__qualname__)
        for service in SERVICES
        for listener in import_module(f"{service}.listeners").LISTENERS.values()
        if listeners.WHOLE in listeners.declared(listener)
    }

    assert whole == {
        ("org", "on_saga_reply"),
        ("org", "on_state_reported"),
        ("billing", "Batch.apply_one"),
    }


def test_a_new_optional_field_of_usage_breaks_nothing() -> None:
    kind = grown(usage.Recorded)
    message = kind(
        provider_id=ids.new("org"),
        organization_id=ids.new("org"),
        id="r1",
        amount="1.00",
        at=clock.stamp(clock.now()),
        description="a call",
        added_later="x",
    )

    assert BATCHES[usage.Recorded].read(message).id == "r1"


def test_a_listener_may_have_the_whole_message(database: Database) -> None:
    def listener(session: Session, envelope: Envelope, *, message: Message) -> None:
        session.add(Effect(word=f"{type(message).__name__} {message.aggregate}"))

    organization_id = ids.new("org")

    receive(Inbox(database, {billing.AccountOpened: listener}), raw(organization_id))

    assert [row.word for row in rows(database, Effect)] == [f"AccountOpened {organization_id}"]


def test_a_listener_that_declares_an_unknown_field_is_an_error_at_startup(
    database: Database,
) -> None:
    def listener(session: Session, envelope: Envelope, *, amount: str) -> None: ...

    assert "amount" not in {each.name for each in fields(billing.AccountOpened)}
    with pytest.raises(TypeError, match=r"declares 'amount', which billing\.account_opened"):
        Inbox(database, {billing.AccountOpened: listener})
