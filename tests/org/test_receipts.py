"""Receipts: what staff did in an acting session, without their names."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from chassis.db.database import Session
from chassis.messaging.envelope import Envelope
from chassis.runtime import clock, ids
from contracts import billing, membership, org
from org import actions, values
from org.listeners import on_audit_recorded
from org.models import Receipt
from sqlalchemy import func, select

from tests.org.conftest import NOON, World

STAFF = "idn_01k9jm2n7tfx9r8b3y0wz5v6qd"
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def customer(world: World) -> str:
    return world.active()


def end_session(world: World, customer: str, acting_id: str, *, minutes: int = 10) -> datetime:
    """Somebody has left; when the receipt is due."""
    world.consume(
        membership.ActingEnded(
            organization_id=customer,
            acting_id=acting_id,
            mode="remote_support",
            reason="stopped",
            started_at=clock.stamp(NOON),
            ended_at=clock.stamp(NOON + timedelta(minutes=minutes)),
        )
    )
    with world.database.reading() as session:
        return session.scalars(select(Receipt.due_at)).one()


def audit_row(
    customer: str,
    acting_id: str | None,
    *,
    at: datetime = NOON,
    by: type = membership.AuditRecorded,
    **more: Any,
) -> Any:
    """A row of some service's audit, done inside."""
    act = {
        "sub": STAFF,
        "name": "Sam Staff",
        "sid": "ses_staff",
        "mode": "remote_support",
        "acting": acting_id,
    }
    known: dict[str, Any] = {
        "action": "member.updated",
        "outcome": "ok",
        "target": {"type": "member", "id": "mem_1", "label": "Jane"},
        "changes": [{"field": "name", "before": "Jane", "after": "Jane D."}],
        "actor": {"kind": "support", "id": "support:grt_1", "label": "Support", "acting": act},
    }
    return by(
        organization_id=customer,
        provider_id=customer,
        entry_id=ids.new("evt"),
        at=clock.stamp(at),
        hash="0" * 64,
        **known | more,
    )


def publish_due(world: World, now: datetime) -> list[org.SupportReceiptReady]:
    world.run(actions.publish_receipts, now=now)
    return world.published(org.SupportReceiptReady)


def test_a_receipt_is_published_once_ten_seconds_after_the_session(
    world: World, customer: str
) -> None:
    acting_id = ids.new("ses")
    due = end_session(world, customer, acting_id)
    world.consume(audit_row(customer, acting_id))  # late, but in time

    early, at, again = (
        publish_due(world, due - MICROSECOND),
        publish_due(world, due),
        publish_due(world, due + timedelta(hours=1)),
    )

    assert early == [] and len(at) == len(again) == 1
    assert (at[0].acting_id, at[0].left_out) == (acting_id, 0)
    assert [vars(done) for done in at[0].rows] == [
        {
            "at": clock.stamp(NOON),
            "action": "member.updated",
            "target": {"type": "member", "id": "mem_1", "label": "Jane"},
            "changes": [{"field": "name", "before": "Jane", "after": "Jane D."}],
        }
    ]


def test_a_receipt_does_not_name_staff(world: World, customer: str) -> None:
    acting_id = ids.new("ses")
    world.consume(audit_row(customer, acting_id))

    text = repr(publish_due(world, end_session(world, customer, acting_id)))

    assert "Jane D." in text
    for secret in (STAFF, "Sam Staff", "ses_staff"):
        assert secret not in text


def test_a_receipt_does_not_name_staff_who_wrote_their_name_somewhere(
    world: World, customer: str
) -> None:
    acting_id = ids.new("ses")
    change = {"field": "name", "before": "Jane", "after": "Jane (sam staff)"}
    label = {"type": "member", "id": "mem_1", "label": "Seen by Sam Staff"}
    world.consume(audit_row(customer, acting_id, changes=[change], target=label))

    (row,) = publish_due(world, end_session(world, customer, acting_id))[0].rows

    assert row.changes == [change | {"after": "Jane (Support)"}]
    assert row.target == label | {"label": "Seen by Support"}


def test_only_the_changes_of_that_session_count(world: World, customer: str) -> None:
    acting_id, other = ids.new("ses"), world.active(name="Other Ltd")
    end = NOON + timedelta(minutes=10)
    messages = {
        "first": audit_row(customer, acting_id, action="first"),
        "billing's": audit_row(
            customer, acting_id, at=NOON + MICROSECOND, by=billing.AuditRecorded, action="billing's"
        ),
        "at the end": audit_row(
            customer, acting_id, at=end + timedelta(seconds=5), action="at the end"
        ),
        "denied": audit_row(customer, acting_id, outcome="denied"),
        "another's": audit_row(customer, ids.new("ses")),
        "elsewhere": audit_row(other, acting_id),
        "long after": audit_row(customer, acting_id, at=end + timedelta(minutes=5)),
        "before": audit_row(customer, acting_id, at=NOON - MICROSECOND),
        "the stay": audit_row(customer, acting_id, action="support.left"),
        "the other": audit_row(customer, acting_id, action="member.login_as.ended"),
        "their own": audit_row(
            customer, None, actor={"kind": "member", "id": "idn_1", "label": "Olga", "acting": {}}
        ),
    }
    for message in messages.values():
        world.consume(message)

    rows = publish_due(world, end_session(world, customer, acting_id))[0].rows

    assert [done.action for done in rows] == ["first", "billing's", "at the end"]


def test_a_session_without_changes_has_a_receipt_too(world: World, customer: str) -> None:
    assert publish_due(world, end_session(world, customer, ids.new("ses")))[0].rows == []


def consume(session: Session, message: membership.AuditRecorded) -> None:
    """What the inbox does with it, many times faster."""
    envelope = Envelope(
        id=ids.new("evt"),
        source="/membership",
        type=message.TYPE,
        aggregate=message.aggregate,
        version=1,
        correlation="",
        now=NOON,
    )
    on_audit_recorded(session, [(envelope, message)])


def test_a_long_receipt_is_shortened(world: World, customer: str) -> None:
    acting_id = ids.new("ses")
    for number in range(205):
        at = NOON + number * MICROSECOND
        world.run(consume, message=audit_row(customer, acting_id, at=at))

    receipt = publish_due(world, end_session(world, customer, acting_id))[0]

    assert (len(receipt.rows), receipt.left_out) == (200, 5)


def test_what_does_not_fit_into_a_message_is_left_out() -> None:
    rows = [{"text": "x" * 100}] * 5

    assert len(values.first_that_fit(rows, max_rows=10, max_characters=250)) == 2
    assert len(values.first_that_fit(rows, max_rows=3, max_characters=10_000)) == 3


def test_a_repeated_message_gives_one_receipt(world: World, customer: str) -> None:
    acting_id = ids.new("ses")
    end_session(world, customer, acting_id)
    due = end_session(world, customer, acting_id)

    assert len(publish_due(world, due)) == 1
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Receipt)) == 0


@pytest.mark.parametrize("managed_by", ["provider", "customer"])
def test_an_acting_session_cannot_change_who_manages(
    world: World, customer: str, managed_by: str
) -> None:
    act = {
        "sub": STAFF,
        "org": world.provider,
        "sid": "ses_staff",
        "mode": "remote_support",
        "access": "full",
    }

    refused = world.call(
        "PATCH", f"/organizations/{customer}", {"managed_by": managed_by}, org=customer, act=act
    )
    allowed = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "Renamed Ltd"}, org=customer, act=act
    )

    assert (refused.status_code, allowed.status_code) == (403, 200)
    assert world.organization(customer).managed_by == "provider"
