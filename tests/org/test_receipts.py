"""What staff did inside is collected once its audit has arrived, and told without who it was."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from chassis.db.database import Session
from chassis.messaging import listeners
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
def one(world: World) -> str:
    return world.active()


def ended(world: World, one: str, acting_id: str, *, minutes: int = 10) -> datetime:
    """Somebody has left; when the receipt is due."""
    world.hear(
        membership.ActingEnded(
            organization_id=one,
            acting_id=acting_id,
            mode="remote_support",
            reason="stopped",
            started_at=clock.stamp(NOON),
            ended_at=clock.stamp(NOON + timedelta(minutes=minutes)),
        )
    )
    with world.database.reading() as session:
        return session.scalars(select(Receipt.due_at)).one()


def row(
    one: str,
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
        organization_id=one,
        provider_id=one,
        entry_id=ids.new("evt"),
        at=clock.stamp(at),
        hash="0" * 64,
        **known | more,
    )


def told(world: World, now: datetime) -> list[org.SupportReceiptReady]:
    world.act(actions.publish_receipts, now=now)
    return world.said(org.SupportReceiptReady)


def test_it_is_told_once_ten_seconds_after_to_the_microsecond(world: World, one: str) -> None:
    acting_id = ids.new("ses")
    due = ended(world, one, acting_id)
    world.hear(row(one, acting_id))  # late, but in time

    early, at, again = (
        told(world, due - MICROSECOND),
        told(world, due),
        told(world, due + timedelta(hours=1)),
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


def test_nothing_of_the_staff_is_told(world: World, one: str) -> None:
    acting_id = ids.new("ses")
    world.hear(row(one, acting_id))

    text = repr(told(world, ended(world, one, acting_id)))

    assert "Jane D." in text
    for secret in (STAFF, "Sam Staff", "ses_staff"):
        assert secret not in text


def test_only_what_was_done_in_that_stay_counts(world: World, one: str) -> None:
    acting_id, other = ids.new("ses"), world.active(name="Other Ltd")
    end = NOON + timedelta(minutes=10)
    heard = {
        "first": row(one, acting_id, action="first"),
        "billing's": row(
            one, acting_id, at=NOON + MICROSECOND, by=billing.AuditRecorded, action="billing's"
        ),
        "at the end": row(one, acting_id, at=end + timedelta(seconds=5), action="at the end"),
        "denied": row(one, acting_id, outcome="denied"),
        "another's": row(one, ids.new("ses")),
        "elsewhere": row(other, acting_id),
        "long after": row(one, acting_id, at=end + timedelta(minutes=5)),
        "before": row(one, acting_id, at=NOON - MICROSECOND),
        "the stay": row(one, acting_id, action="support.left"),
        "the other": row(one, acting_id, action="member.login_as.ended"),
        "their own": row(
            one, None, actor={"kind": "member", "id": "idn_1", "label": "Olga", "acting": {}}
        ),
    }
    for message in heard.values():
        world.hear(message)

    rows = told(world, ended(world, one, acting_id))[0].rows

    assert [done.action for done in rows] == ["first", "billing's", "at the end"]


def test_a_stay_without_changes_has_a_receipt_too(world: World, one: str) -> None:
    assert told(world, ended(world, one, ids.new("ses")))[0].rows == []


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
    listeners.call(on_audit_recorded, session, envelope, message)


def test_very_much_is_told_in_part(world: World, one: str) -> None:
    acting_id = ids.new("ses")
    for number in range(205):
        at = NOON + number * MICROSECOND
        world.act(consume, message=row(one, acting_id, at=at))

    receipt = told(world, ended(world, one, acting_id))[0]

    assert (len(receipt.rows), receipt.left_out) == (200, 5)


def test_what_does_not_fit_into_a_message_is_left_out() -> None:
    rows = [{"text": "x" * 100}] * 5

    assert len(values.first_that_fit(rows, max_rows=10, max_characters=250)) == 2
    assert len(values.first_that_fit(rows, max_rows=3, max_characters=10_000)) == 3


def test_heard_twice_it_is_told_once(world: World, one: str) -> None:
    acting_id = ids.new("ses")
    ended(world, one, acting_id)
    due = ended(world, one, acting_id)

    assert len(told(world, due)) == 1
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Receipt)) == 0


@pytest.mark.parametrize("managed_by", ["provider", "customer"])
def test_who_manages_it_is_not_changed_from_inside(world: World, one: str, managed_by: str) -> None:
    act = {
        "sub": STAFF,
        "org": world.provider,
        "sid": "ses_staff",
        "mode": "remote_support",
        "access": "full",
    }

    refused = world.call(
        "PATCH", f"/organizations/{one}", {"managed_by": managed_by}, org=one, act=act
    )
    allowed = world.call(
        "PATCH", f"/organizations/{one}", {"name": "Renamed Ltd"}, org=one, act=act
    )

    assert (refused.status_code, allowed.status_code) == (403, 200)
    assert world.found(one).managed_by == "provider"
